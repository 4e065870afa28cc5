local cleanups = 0

local function fail(n) error({code = n}) end
local function deep(depth, n)
  if depth == 0 then return fail(n) end
  return deep(depth - 1, n) + 1
end

local function protect(n)
  local ok, value = pcall(function() return n end)
  return ok and value or 0
end

-- runs f, then cleanup whatever happened
local function ensure(f, cleanup)
  local ok, value = pcall(f)
  cleanup()
  if ok then return value end
  error(value, 0)
end

local function clean(n) return ensure(function() return n + 1 end, function() cleanups = cleanups + 1 end) end

local function catch(n)
  local ok, e = pcall(function() return fail(n) end)
  return ok and e or e.code
end

local function catch_deep(n)
  local ok, e = pcall(function() return deep(10, n) end)
  return ok and e or e.code
end

local function catch_outer(n)
  local ok, e = pcall(function()
    local inner, problem = pcall(function() return fail(n) end)
    if not inner then error(problem, 0) end
    return problem
  end)
  return ok and e or e.code
end

local function unwind(n)
  local ok, e = pcall(function() return ensure(function() return fail(n) end, function() cleanups = cleanups + 1 end) end)
  return ok and e or e.code
end

local function run()
  local sum = 0
  for i = 1, 300000 do sum = sum + protect(i) + clean(i) end
  for i = 1, 100000 do sum = sum + catch(i) + catch_deep(i) + catch_outer(i) + unwind(i) end
  print(sum)
  print(cleanups)
end

run()
