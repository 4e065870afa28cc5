local init = {{0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.47}, {4.84, -1.16, -0.10, 0.6, 2.81, -0.02, 0.037}, {8.34, 4.12, -0.4, -1.01, 1.82, 0.008, 0.011}, {12.89, -15.11, -0.22, 1.08, 0.86, -0.01, 0.0017}, {15.37, -25.9, 0.179, 0.97, 0.59, -0.034, 0.002}}
local bodies = {}
for i, s in ipairs(init) do bodies[i] = {x = s[1], y = s[2], z = s[3], vx = s[4], vy = s[5], vz = s[6], m = s[7]} end
for _ = 1, 40000 do
  for i = 1, 5 do
    local a = bodies[i]
    for j = i + 1, 5 do
      local b = bodies[j]
      local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
      local d = dx * dx + dy * dy + dz * dz
      local mag = 0.001 / (d * d ^ 0.5)
      a.vx = a.vx - dx * b.m * mag; a.vy = a.vy - dy * b.m * mag; a.vz = a.vz - dz * b.m * mag
      b.vx = b.vx + dx * a.m * mag; b.vy = b.vy + dy * a.m * mag; b.vz = b.vz + dz * a.m * mag
    end
  end
  for _, b in ipairs(bodies) do b.x = b.x + 0.001 * b.vx; b.y = b.y + 0.001 * b.vy; b.z = b.z + 0.001 * b.vz end
end
local e = 0.0
for _, b in ipairs(bodies) do e = e + b.m * (b.vx * b.vx + b.vy * b.vy + b.vz * b.vz) * 0.5 end
print(math.floor(e * 1000 + 0.5))
