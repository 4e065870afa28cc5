-- DeltaBlue: an incremental solver of one-way constraints. A chain of equalities, then a row of scalings.
local function class(super)
  local c = setmetatable({}, super)
  c.__index = c
  return c
end

-- The smaller the level, the stronger.
local Strength = class()
local strengths = {}
for level, name in ipairs {'required', 'strong_preferred', 'preferred', 'strong_default', 'normal', 'weak_default', 'weakest'} do
  Strength[name] = setmetatable({level = level}, Strength)
  strengths[level] = Strength[name]
end
function Strength:stronger(other) return self.level < other.level end
function Strength:weaker(other) return self.level > other.level end
function Strength:weakest_of(other) return self.level > other.level and self or other end
function Strength:next_weaker() return strengths[self.level + 1] end

local Cell = class()
function Cell.new(value)
  return setmetatable({value = value, constraints = {}, mark = 0, strength = Strength.weakest, stay = true}, Cell)
end
function Cell:add_constraint(c) self.constraints[#self.constraints + 1] = c end
function Cell:remove_constraint(c)
  for i, each in ipairs(self.constraints) do
    if each == c then
      table.remove(self.constraints, i)
      break
    end
  end
  if self.determined_by == c then self.determined_by = nil end
end

-- A queue: first and last index in the table itself.
local Queue = class()
function Queue.new() return setmetatable({first = 1, last = 0}, Queue) end
function Queue:add(x)
  self.last = self.last + 1
  self[self.last] = x
end
function Queue:is_empty() return self.first > self.last end
function Queue:remove_first()
  local x = self[self.first]
  self[self.first] = nil
  self.first = self.first + 1
  return x
end

local Constraint = class()
function Constraint:is_input() return false end
function Constraint:add_to(planner)
  self:add_to_graph()
  planner:incremental_add(self)
end
function Constraint:destroy(planner)
  if self:is_satisfied() then
    planner:incremental_remove(self)
  else
    self:remove_from_graph()
  end
end
-- Answers the constraint whose place it takes, if there is one.
function Constraint:satisfy(mark, planner)
  self:choose_method(mark)
  if not self:is_satisfied() then
    if self.strength == Strength.required then error('a required constraint cannot be satisfied') end
    return nil
  end
  self:mark_inputs(mark)
  local out = self:output()
  local overridden = out.determined_by
  if overridden then overridden:be_unsatisfied() end
  out.determined_by = self
  if not planner:add_propagate(self, mark) then error('a cycle') end
  out.mark = mark
  return overridden
end

local UnaryConstraint = class(Constraint)
function UnaryConstraint.new(kind, cell, strength, planner)
  local c = setmetatable({cell = cell, strength = strength, satisfied = false}, kind)
  c:add_to(planner)
  return c
end
function UnaryConstraint:output() return self.cell end
function UnaryConstraint:add_to_graph()
  self.cell:add_constraint(self)
  self.satisfied = false
end
function UnaryConstraint:remove_from_graph()
  self.cell:remove_constraint(self)
  self.satisfied = false
end
function UnaryConstraint:choose_method(mark)
  self.satisfied = self.cell.mark ~= mark and self.strength:stronger(self.cell.strength)
end
function UnaryConstraint:is_satisfied() return self.satisfied end
function UnaryConstraint:be_unsatisfied() self.satisfied = false end
function UnaryConstraint:mark_inputs() end
function UnaryConstraint:inputs_known() return true end
function UnaryConstraint:recalculate()
  self.cell.strength = self.strength
  self.cell.stay = not self:is_input()
  if self.cell.stay then self:execute() end
end
function UnaryConstraint:execute() end

local StayConstraint, EditConstraint = class(UnaryConstraint), class(UnaryConstraint)
function EditConstraint:is_input() return true end

local BinaryConstraint = class(Constraint)
function BinaryConstraint:input() return self.direction == 'forward' and self.first or self.second end
function BinaryConstraint:output() return self.direction == 'forward' and self.second or self.first end
function BinaryConstraint:is_satisfied() return self.direction ~= nil end
function BinaryConstraint:be_unsatisfied() self.direction = nil end
function BinaryConstraint:add_to_graph()
  self.first:add_constraint(self)
  self.second:add_constraint(self)
  self.direction = nil
end
function BinaryConstraint:remove_from_graph()
  self.first:remove_constraint(self)
  self.second:remove_constraint(self)
  self.direction = nil
end
function BinaryConstraint:choose_method(mark)
  local first, second, strength = self.first, self.second, self.strength
  if first.mark == mark then
    self.direction = second.mark ~= mark and strength:stronger(second.strength) and 'forward' or nil
  elseif second.mark == mark then
    self.direction = strength:stronger(first.strength) and 'backward' or nil
  elseif first.strength:weaker(second.strength) then
    self.direction = strength:stronger(first.strength) and 'backward' or nil
  else
    self.direction = strength:stronger(second.strength) and 'forward' or nil
  end
end
function BinaryConstraint:mark_inputs(mark) self:input().mark = mark end
function BinaryConstraint:inputs_known(mark)
  local input = self:input()
  return input.mark == mark or input.stay or input.determined_by == nil
end
function BinaryConstraint:recalculate()
  local input, output = self:input(), self:output()
  output.strength = self.strength:weakest_of(input.strength)
  output.stay = input.stay
  if output.stay then self:execute() end
end

local EqualConstraint = class(BinaryConstraint)
function EqualConstraint.new(first, second, strength, planner)
  setmetatable({first = first, second = second, strength = strength}, EqualConstraint):add_to(planner)
end
function EqualConstraint:execute() self:output().value = self:input().value end

local ScaleConstraint = class(BinaryConstraint)
function ScaleConstraint.new(first, scale, offset, second, strength, planner)
  setmetatable({first = first, scale = scale, offset = offset, second = second, strength = strength}, ScaleConstraint):add_to(planner)
end
function ScaleConstraint:add_to_graph()
  BinaryConstraint.add_to_graph(self)
  self.scale:add_constraint(self)
  self.offset:add_constraint(self)
end
function ScaleConstraint:remove_from_graph()
  BinaryConstraint.remove_from_graph(self)
  self.scale:remove_constraint(self)
  self.offset:remove_constraint(self)
end
function ScaleConstraint:mark_inputs(mark)
  BinaryConstraint.mark_inputs(self, mark)
  self.scale.mark = mark
  self.offset.mark = mark
end
function ScaleConstraint:execute()
  if self.direction == 'forward' then
    self.second.value = self.first.value * self.scale.value + self.offset.value
  else
    self.first.value = (self.second.value - self.offset.value) // self.scale.value
  end
end
function ScaleConstraint:recalculate()
  local input, output = self:input(), self:output()
  output.strength = self.strength:weakest_of(input.strength)
  output.stay = input.stay and self.scale.stay and self.offset.stay
  if output.stay then self:execute() end
end

local Planner = class()
function Planner.new() return setmetatable({mark = 0}, Planner) end
function Planner:new_mark()
  self.mark = self.mark + 1
  return self.mark
end
function Planner:incremental_add(constraint)
  local mark = self:new_mark()
  local overridden = constraint:satisfy(mark, self)
  while overridden do overridden = overridden:satisfy(mark, self) end
end
function Planner:incremental_remove(constraint)
  local out = constraint:output()
  constraint:be_unsatisfied()
  constraint:remove_from_graph()
  local unsatisfied = self:remove_propagate_from(out)
  local strength = Strength.required
  repeat
    for _, each in ipairs(unsatisfied) do
      if each.strength == strength then self:incremental_add(each) end
    end
    strength = strength:next_weaker()
  until strength == Strength.weakest
end
function Planner:add_propagate(constraint, mark)
  local todo = Queue.new()
  todo:add(constraint)
  while not todo:is_empty() do
    local next = todo:remove_first()
    if next:output().mark == mark then
      self:incremental_remove(constraint)
      return false
    end
    next:recalculate()
    self:add_constraints_consuming(next:output(), todo)
  end
  return true
end
function Planner:add_constraints_consuming(cell, todo)
  local determining = cell.determined_by
  for _, each in ipairs(cell.constraints) do
    if each ~= determining and each:is_satisfied() then todo:add(each) end
  end
end
function Planner:remove_propagate_from(out)
  local unsatisfied, todo = {}, Queue.new()
  out.determined_by, out.strength, out.stay = nil, Strength.weakest, true
  todo:add(out)
  while not todo:is_empty() do
    local cell = todo:remove_first()
    for _, each in ipairs(cell.constraints) do
      if not each:is_satisfied() then unsatisfied[#unsatisfied + 1] = each end
    end
    local determining = cell.determined_by
    for _, each in ipairs(cell.constraints) do
      if each ~= determining and each:is_satisfied() then
        each:recalculate()
        todo:add(each:output())
      end
    end
  end
  return unsatisfied
end
function Planner:plan_from(constraints)
  local todo = Queue.new()
  for _, each in ipairs(constraints) do
    if each:is_input() and each:is_satisfied() then todo:add(each) end
  end
  return self:make_plan(todo)
end
function Planner:make_plan(todo)
  local mark, plan = self:new_mark(), {}
  while not todo:is_empty() do
    local next = todo:remove_first()
    if next:output().mark ~= mark and next:inputs_known(mark) then
      plan[#plan + 1] = next
      next:output().mark = mark
      self:add_constraints_consuming(next:output(), todo)
    end
  end
  return plan
end

local function expect(value, expected) if value ~= expected then error('a wrong value') end end

local function chain(n)
  local planner, cells = Planner.new(), {}
  for i = 1, n + 1 do cells[i] = Cell.new(0) end
  for i = 1, n do EqualConstraint.new(cells[i], cells[i + 1], Strength.required, planner) end
  UnaryConstraint.new(StayConstraint, cells[n + 1], Strength.strong_default, planner)
  local edit = UnaryConstraint.new(EditConstraint, cells[1], Strength.preferred, planner)
  local plan = planner:plan_from {edit}
  for i = 1, 100 do
    cells[1].value = i
    for _, each in ipairs(plan) do each:execute() end
    expect(cells[n + 1].value, i)
  end
  edit:destroy(planner)
end

local function change(cell, value, planner)
  local edit = UnaryConstraint.new(EditConstraint, cell, Strength.preferred, planner)
  local plan = planner:plan_from {edit}
  for _ = 1, 10 do
    cell.value = value
    for _, each in ipairs(plan) do each:execute() end
  end
  edit:destroy(planner)
end

local function projection(n)
  local planner, scale, offset = Planner.new(), Cell.new(10), Cell.new(1000)
  local sources, targets = {}, {}
  for i = 1, n do
    sources[i], targets[i] = Cell.new(i), Cell.new(i)
    UnaryConstraint.new(StayConstraint, sources[i], Strength.normal, planner)
    ScaleConstraint.new(sources[i], scale, offset, targets[i], Strength.required, planner)
  end
  change(sources[n], 17, planner)
  expect(targets[n].value, 1170)
  change(targets[n], 1050, planner)
  expect(sources[n].value, 5)
  change(scale, 5, planner)
  for i = 1, n - 1 do expect(targets[i].value, i * 5 + 1000) end
  change(offset, 2000, planner)
  for i = 1, n - 1 do expect(targets[i].value, i * 5 + 2000) end
end

for _ = 1, 15 do
  chain(1000)
  projection(1000)
end
print('done')
