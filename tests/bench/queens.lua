local Queens = {}
Queens.__index = Queens

function Queens:is_free(row, column)
  return self.columns[column] and self.ups[row + column - 1] and self.downs[row - column + self.n]
end

function Queens:set(row, column, value)
  self.columns[column] = value
  self.ups[row + column - 1] = value
  self.downs[row - column + self.n] = value
end

function Queens:place_from(row)
  if row > self.n then
    self.found = self.found + 1
    return
  end
  for column = 1, self.n do
    if self:is_free(row, column) then
      self:set(row, column, false)
      self:place_from(row + 1)
      self:set(row, column, true)
    end
  end
end

local function solve(n)
  local q = setmetatable({n = n, found = 0, columns = {}, ups = {}, downs = {}}, Queens)
  for i = 1, n do q.columns[i] = true end
  for i = 1, 2 * n do q.ups[i], q.downs[i] = true, true end
  q:place_from(1)
  return q.found
end

print(solve(12))
