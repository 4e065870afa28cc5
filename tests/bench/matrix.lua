local Matrix = {}
Matrix.__index = Matrix

function Matrix.new(n, f)
  local rows = {}
  for r = 1, n do
    rows[r] = {}
    for c = 1, n do rows[r][c] = f(r, c) end
  end
  return setmetatable({rows = rows}, Matrix)
end

function Matrix:at(r, c) return self.rows[r][c] end

function Matrix:trace()
  local sum = 0.0
  for i = 1, #self.rows do sum = sum + self:at(i, i) end
  return sum
end

function Matrix.__mul(a, b)
  return Matrix.new(#a.rows, function(r, c)
    local row, sum = a.rows[r], 0.0
    for i = 1, #row do sum = sum + row[i] * b:at(i, c) end
    return sum
  end)
end

local a = Matrix.new(200, function(r, c) return (r - c) / 16.0 end)
local b = Matrix.new(200, function(r, c) return (r + c) / 32.0 end)
print(math.floor((a * b):trace() + 0.5))
