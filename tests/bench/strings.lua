local function text(n)
  local t = {}
  for i = 1, n do
    t[#t + 1] = 'line '
    t[#t + 1] = tostring(i)
    t[#t + 1] = '\n'
  end
  return table.concat(t)
end

local function main()
  local s, ones, hash = text(300000), 0, 0
  for i = 1, #s do
    local c = s:byte(i)
    if c == 49 then ones = ones + 1 end
    hash = (hash * 31 + c) & 0xFFFFFF
  end
  print(#s)
  print(ones)
  print(hash)
end

main()
