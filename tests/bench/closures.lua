local function counter_from(start)
  local count = start
  return function()
    count = count + 1
    return count
  end
end
local function adder(n) return function(x) return x + n end end
local function compose(f, g) return function(x) return f((g(x))) end end
local function fold(array, start, f)
  local result = start
  for i = 1, #array do result = f(result, array[i]) end
  return result
end

local function counters(n)
  local sum = 0
  for i = 1, n do
    local counter = counter_from(i)
    counter()
    counter()
    sum = sum + counter()
  end
  return sum
end

local function compositions(n)
  local f = function(x) return x end
  for i = 1, 10 do f = compose(adder(i), f) end
  local sum = 0
  for i = 1, n do sum = sum + f(i) end
  return sum
end

local function folds(n)
  local array, sum = {}, 0
  for i = 1, 100 do array[i] = i end
  for i = 1, n do sum = sum + fold(array, 0, function(a, b) return a + (b ~ i) end) end
  return sum
end

print(counters(1200000))
print(compositions(200000))
print(folds(60000))
