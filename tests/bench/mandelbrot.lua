local function iterations(cr, ci)
  local zr, zi, n = 0.0, 0.0, 0
  while n < 50 and zr * zr + zi * zi <= 4.0 do
    local t = zr * zr - zi * zi + cr
    zi = 2.0 * zr * zi + ci
    zr = t
    n = n + 1
  end
  return n
end

local function main(size)
  local inside = 0
  for y = 0, size - 1 do
    for x = 0, size - 1 do
      if iterations(2.0 * x / size - 1.5, 2.0 * y / size - 1.0) == 50 then inside = inside + 1 end
    end
  end
  return inside
end

print(main(700))
