-- Calls of the tests' library by LuaJIT. Prints lines: what, nanoseconds, nanoseconds of the loop alone, times. Arguments: library, count.
local ffi = require 'ffi'
ffi.cdef [[
int noop(int value);
double add(double a, double b);
long call_back_often(int (*function)(int), int times);
void sort_ints(int *values, size_t count, int (*compare)(const void *, const void *));
typedef struct { long seconds, nanoseconds; } Time;
int clock_gettime(int clock, Time *time);
]]
local library, count = ffi.load(arg[1]), tonumber(arg[2])
local time = ffi.new 'Time'

local function now()
  ffi.C.clock_gettime(1, time)
  return tonumber(time.seconds) * 1e9 + tonumber(time.nanoseconds)
end

local function empty_loop(n)
  local start = now()
  for i = 1, n do end
  return now() - start
end

local function tell(what, start, n, empty)
  local spent = now() - start
  print(string.format('%s %d %d %d', what, spent, empty or empty_loop(n), n))
end

local noop, add = library.noop, library.add
local start = now()
for i = 1, count do library.noop(1) end
tell('noop', start, count)
start = now()
for i = 1, count do library.add(1.5, 2.5) end
tell('add', start, count)

local n = count / 10
local callback = ffi.cast('int (*)(int)', function(x) return x + 1 end)
start = now()
library.call_back_often(callback, n)
tell('callback', start, n, 0)

local size, seed = 100000, 42
local numbers = ffi.new('int[?]', size)
for i = 0, size - 1 do
  seed = (seed * 1664525 + 1013904223) % 2 ^ 32
  numbers[i] = math.floor(seed / 256)
end
local compare = ffi.cast('int (*)(const void *, const void *)', function(a, b)
  return ffi.cast('const int *', a)[0] - ffi.cast('const int *', b)[0]
end)
start = now()
library.sort_ints(numbers, size, compare)
tell('qsort', start, 1, 0)
