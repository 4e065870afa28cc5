local function evaluate(node)
  if math.type(node) == 'integer' then return node end
  local a, b, operator = evaluate(node.left), evaluate(node.right), node.operator
  if operator == '+' then return a + b end
  if operator == '-' then return a - b end
  if operator == '*' then return a * b % 65521 end
  return a // (b % 7 + 1)
end

local Calculator = {}
Calculator.__index = Calculator

function Calculator:peek() return self.text:sub(self.position, self.position) end
function Calculator:next()
  local c = self.text:sub(self.position, self.position)
  self.position = self.position + 1
  return c
end
function Calculator:skip_blanks() while self:peek() == ' ' do self:next() end end

function Calculator:expression()
  local tree = self:term()
  self:skip_blanks()
  while self:peek() == '+' or self:peek() == '-' do
    local operator = self:next()
    tree = {left = tree, operator = operator, right = self:term()}
    self:skip_blanks()
  end
  return tree
end

function Calculator:term()
  local tree = self:factor()
  self:skip_blanks()
  while self:peek() == '*' or self:peek() == '/' do
    local operator = self:next()
    tree = {left = tree, operator = operator, right = self:factor()}
    self:skip_blanks()
  end
  return tree
end

function Calculator:factor()
  self:skip_blanks()
  if self:peek() ~= '(' then return self:number() end
  self:next()
  local tree = self:expression()
  self:skip_blanks()
  if self:next() ~= ')' then error('no )') end
  return tree
end

function Calculator:number()
  local value, c = 0, self:peek()
  while c >= '0' and c <= '9' do
    value = value * 10 + self:next():byte() - 48
    c = self:peek()
  end
  return value
end

local function sample_text(terms)
  local parts, seed = {}, 9
  for i = 1, terms do
    seed = (seed * 1309 + 13849) & 65535
    parts[i] = '(' .. seed .. ' * ' .. seed % 97 .. ' - (' .. seed % 1000 .. ' / ' .. seed % 11 .. ')) + '
  end
  return table.concat(parts) .. '1'
end

local text, sum = sample_text(500), 0
for _ = 1, 60 do
  sum = sum + evaluate(setmetatable({text = text, position = 1}, Calculator):expression())
end
print(sum)
