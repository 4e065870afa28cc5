local function class()
  local c = {}
  c.__index = c
  return c
end
local Literal, Input, Negation = class(), class(), class()
local Sum, Difference, Product, Remainder, Greatest = class(), class(), class(), class(), class()

function Literal:value_at(x) return self.number end
function Input:value_at(x) return x end
function Negation:value_at(x) return -self.operand:value_at(x) end
function Sum:value_at(x) return self.left:value_at(x) + self.right:value_at(x) end
function Difference:value_at(x) return self.left:value_at(x) - self.right:value_at(x) end
function Product:value_at(x) return self.left:value_at(x) * self.right:value_at(x) % 10007 end
function Remainder:value_at(x) return self.left:value_at(x) % (self.right:value_at(x) % 97 + 1) end
function Greatest:value_at(x)
  local a, b = self.left:value_at(x), self.right:value_at(x)
  return a > b and a or b
end

local binaries = {Sum, Difference, Product, Remainder, Greatest}

local function build(depth, n)
  if depth == 0 then
    if n % 2 == 0 then return setmetatable({number = n}, Literal) end
    return setmetatable({}, Input)
  end
  local kind = (n * 7 + depth) % 6
  if kind == 5 then return setmetatable({operand = build(depth - 1, (n * 3 + 1) % 1009)}, Negation) end
  return setmetatable({left = build(depth - 1, (n * 5 + 2) % 1009), right = build(depth - 1, (n * 11 + 3) % 1009)}, binaries[kind + 1])
end

local expression, sum = build(12, 1), 0
for x = 1, 4000 do sum = sum + expression:value_at(x) end
print(sum)
