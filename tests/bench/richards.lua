-- Richards: the kernel of an operating system with six tasks. The counts of queued packets and of holds must be 23246 and 9297.
local function class(super)
  local c = setmetatable({}, super)
  c.__index = c
  return c
end
local Packet, Scheduler, Task = class(), class(), class()
local IdleTask, WorkTask, HandlerTask, DeviceTask = class(Task), class(Task), class(Task), class(Task)

function Packet.new(task, kind, link)
  return setmetatable({link = link, task = task, kind = kind, datum = 0, data = {0, 0, 0, 0}}, Packet)
end
function Packet:is_work() return self.kind == 'work' end
function Packet:appended_to(queue)
  self.link = nil
  if queue == nil then return self end
  local last = queue
  while last.link ~= nil do last = last.link end
  last.link = self
  return queue
end

function Task:make_running() self.waiting, self.pending = false, false end
function Task:hold() self.held = true end
function Task:release() self.held = false end
function Task:suspend() self.waiting = true end
function Task:is_blocked() return self.held or self.waiting and not self.pending end
function Task:run()
  local packet
  if self.waiting and self.pending then
    packet = self.queue
    self.queue = packet.link
    self.waiting = false
    self.pending = self.queue ~= nil
  end
  return self:process(packet)
end
function Task:accept(packet, task)
  if self.queue == nil then
    self.queue = packet
    self.pending = true
    return self.priority > task.priority and self or task
  end
  self.queue = packet:appended_to(self.queue)
  return task
end

function IdleTask:process()
  self.count = self.count - 1
  if self.count == 0 then return self.scheduler:hold_current() end
  if self.control % 2 == 0 then
    self.control = self.control // 2
    return self.scheduler:release(5)
  end
  self.control = self.control // 2 ~ 0xD008
  return self.scheduler:release(6)
end

function WorkTask:process(packet)
  if packet == nil then return self.scheduler:suspend_current() end
  self.handler = 7 - self.handler
  packet.task = self.handler
  packet.datum = 1
  for i = 1, 4 do
    self.letter = self.letter == 26 and 1 or self.letter + 1
    packet.data[i] = self.letter
  end
  return self.scheduler:enqueue(packet)
end

function HandlerTask:process(packet)
  if packet ~= nil then
    if packet:is_work() then
      self.work = packet:appended_to(self.work)
    else
      self.devices = packet:appended_to(self.devices)
    end
  end
  local work, device = self.work, self.devices
  if work == nil then return self.scheduler:suspend_current() end
  local datum = work.datum
  if datum > 4 then
    self.work = work.link
    return self.scheduler:enqueue(work)
  end
  if device == nil then return self.scheduler:suspend_current() end
  self.devices = device.link
  device.datum = work.data[datum]
  work.datum = datum + 1
  return self.scheduler:enqueue(device)
end

function DeviceTask:process(packet)
  if packet ~= nil then
    self.packet = packet
    return self.scheduler:hold_current()
  end
  local old = self.packet
  if old == nil then return self.scheduler:suspend_current() end
  self.packet = nil
  return self.scheduler:enqueue(old)
end

function Scheduler.packets(count, task, kind)
  local packet
  for _ = 1, count do packet = Packet.new(task, kind, packet) end
  return packet
end
function Scheduler:add(kind, priority, queue)
  local task = setmetatable({scheduler = self, link = self.tasks, identity = #self.table + 1, priority = priority, queue = queue,
    pending = queue ~= nil, waiting = true, held = false}, kind)
  self.tasks = task
  self.table[#self.table + 1] = task
  return task
end
function Scheduler.new(count)
  local s = setmetatable({queued = 0, holds = 0, table = {}}, Scheduler)
  local idle = s:add(IdleTask, 0, nil)
  idle.count, idle.control = count, 1
  idle:make_running()
  local worker = s:add(WorkTask, 1000, s.packets(2, 2, 'work'))
  worker.handler, worker.letter = 3, 0
  s:add(HandlerTask, 2000, s.packets(3, 5, 'device'))
  s:add(HandlerTask, 3000, s.packets(3, 6, 'device'))
  s:add(DeviceTask, 4000, nil)
  s:add(DeviceTask, 5000, nil)
  return s
end
function Scheduler:run()
  self.current = self.tasks
  while self.current ~= nil do
    if self.current:is_blocked() then
      self.current = self.current.link
    else
      self.current = self.current:run()
    end
  end
end
function Scheduler:hold_current()
  self.holds = self.holds + 1
  self.current:hold()
  return self.current.link
end
function Scheduler:suspend_current()
  self.current:suspend()
  return self.current
end
function Scheduler:release(number)
  local task = self.table[number]
  task:release()
  return task.priority > self.current.priority and task or self.current
end
function Scheduler:enqueue(packet)
  local task = self.table[packet.task]
  self.queued = self.queued + 1
  packet.link = nil
  packet.task = self.current.identity
  return task:accept(packet, self.current)
end

for i = 1, 15 do
  local s = Scheduler.new(10000)
  s:run()
  if s.queued ~= 23246 or s.holds ~= 9297 then error('wrong counts') end
  if i == 1 then
    print(s.queued)
    print(s.holds)
  end
end
