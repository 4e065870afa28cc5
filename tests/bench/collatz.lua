local function collatz_length(n)
  local length = 1
  while n > 1 do
    if n % 2 == 1 then n = 3 * n + 1 else n = n // 2 end
    length = length + 1
  end
  return length
end

local best, longest = 0, 0
for start = 1, 200000 do
  local length = collatz_length(start)
  if length > longest then best, longest = start, length end
end
print(best .. "->" .. longest)
