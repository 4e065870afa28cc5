local Body = {}
Body.__index = Body

local function body(x, y, z, vx, vy, vz, mass)
  return setmetatable({x = x, y = y, z = z, vx = vx, vy = vy, vz = vz, mass = mass}, Body)
end

function Body:pull(dx, dy, dz, factor)
  self.vx = self.vx + dx * factor
  self.vy = self.vy + dy * factor
  self.vz = self.vz + dz * factor
end

function Body:attract(other, dt)
  local dx, dy, dz = self.x - other.x, self.y - other.y, self.z - other.z
  local square = dx * dx + dy * dy + dz * dz
  local magnitude = dt / (square * math.sqrt(square))
  self:pull(dx, dy, dz, 0.0 - other.mass * magnitude)
  other:pull(dx, dy, dz, self.mass * magnitude)
end

function Body:move(dt)
  self.x = self.x + dt * self.vx
  self.y = self.y + dt * self.vy
  self.z = self.z + dt * self.vz
end

function Body:kinetic() return 0.5 * self.mass * (self.vx * self.vx + self.vy * self.vy + self.vz * self.vz) end

function Body:potential(other)
  local dx, dy, dz = self.x - other.x, self.y - other.y, self.z - other.z
  return self.mass * other.mass / math.sqrt(dx * dx + dy * dy + dz * dz)
end

local function advance(bodies, dt)
  for i = 1, #bodies do
    local a = bodies[i]
    for j = i + 1, #bodies do a:attract(bodies[j], dt) end
  end
  for i = 1, #bodies do bodies[i]:move(dt) end
end

local function energy(bodies)
  local e = 0.0
  for i = 1, #bodies do
    e = e + bodies[i]:kinetic()
    for j = i + 1, #bodies do e = e - bodies[i]:potential(bodies[j]) end
  end
  return e
end

local function main(steps)
  local bodies = {
    body(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.47), body(4.84, -1.16, -0.10, 0.6, 2.81, -0.02, 0.037),
    body(8.34, 4.12, -0.4, -1.01, 1.82, 0.008, 0.011), body(12.89, -15.11, -0.22, 1.08, 0.86, -0.01, 0.0017),
    body(15.37, -25.9, 0.179, 0.97, 0.59, -0.034, 0.002)}
  for _ = 1, steps do advance(bodies, 0.001) end
  return math.floor(energy(bodies) * 1000000 + 0.5)
end

print(main(100000))
