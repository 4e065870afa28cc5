local Shape = {}
Shape.__index = Shape
local function subclass()
  local class = setmetatable({}, Shape)
  class.__index = class
  return class
end
local Square, Oblong, Triangle, Cross = subclass(), subclass(), subclass(), subclass()

function Shape:is_larger_than(n) return self:area() > n end
function Square:area() return self.side * self.side end
function Square:corners() return 4 end
function Oblong:area() return self.width * self.height end
function Oblong:corners() return 4 end
function Triangle:area() return self.base * self.height // 2 end
function Triangle:corners() return 3 end
function Cross:area() return 4 * self.arm * self.thickness + self.thickness * self.thickness end
function Cross:corners() return 12 end

local function shape(kind, n)
  if kind == 0 then return setmetatable({side = n}, Square) end
  if kind == 1 then return setmetatable({width = n, height = n + 3}, Oblong) end
  if kind == 2 then return setmetatable({base = n, height = n + 5}, Triangle) end
  return setmetatable({arm = n, thickness = 2}, Cross)
end

local function main()
  local shapes, seed = {}, 7
  for i = 1, 1000 do
    seed = (seed * 1309 + 13849) & 65535
    shapes[i] = shape((seed >> 6) % 4, seed % 50 + 1)
  end
  local area, corners, large = 0, 0, 0
  for _ = 1, 2500 do
    for i = 1, #shapes do
      local s = shapes[i]
      area = area + s:area()
      corners = corners + s:corners()
      if s:is_larger_than(500) then large = large + 1 end
    end
  end
  print(area)
  print(corners)
  print(large)
end

main()
