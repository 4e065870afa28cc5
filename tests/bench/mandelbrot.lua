local size, inside = 300, 0
for y = 0, size - 1 do
  for x = 0, size - 1 do
    local cr, ci, zr, zi, n = 2.0 * x / size - 1.5, 2.0 * y / size - 1.0, 0.0, 0.0, 0
    while n < 50 and zr * zr + zi * zi <= 4.0 do
      local t = zr * zr - zi * zi + cr
      zi = 2.0 * zr * zi + ci
      zr = t
      n = n + 1
    end
    if n == 50 then inside = inside + 1 end
  end
end
print(inside)
