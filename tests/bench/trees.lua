local function make(n)
  if n == 0 then return {} end
  return {left = make(n - 1), right = make(n - 1)}
end
local function count(t)
  if t.left == nil then return 1 end
  return count(t.left) + count(t.right) + 1
end

local function main(greatest)
  print(count(make(greatest + 1)))
  local kept = make(greatest)
  for depth = 4, greatest, 2 do
    local total = 0
    for _ = 1, 1 << (greatest - depth + 4) do total = total + count(make(depth)) end
    print(total)
  end
  print(count(kept))
end

main(14)
