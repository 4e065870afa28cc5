# DeltaBlue: an incremental solver of one-way constraints. A chain of equalities, then a row of scalings.
from collections import deque


class Strength:
    """The smaller the level, the stronger."""

    def __init__(self, level):
        self.level = level

    def stronger(self, other):
        return self.level < other.level

    def weaker(self, other):
        return self.level > other.level

    def weakest_of(self, other):
        return self if self.level > other.level else other

    def next_weaker(self):
        return strengths[self.level + 1]


strengths = [Strength(level) for level in range(7)]
REQUIRED, STRONG_PREFERRED, PREFERRED, STRONG_DEFAULT, NORMAL, WEAK_DEFAULT, WEAKEST = strengths


class Cell:
    def __init__(self, value):
        self.value = value
        self.constraints = []
        self.determined_by = None
        self.mark = 0
        self.strength = WEAKEST
        self.stay = True

    def add_constraint(self, constraint):
        self.constraints.append(constraint)

    def remove_constraint(self, constraint):
        if constraint in self.constraints:
            self.constraints.remove(constraint)
        if self.determined_by is constraint:
            self.determined_by = None


class Constraint:
    def is_input(self):
        return False

    def add_to(self, planner):
        self.add_to_graph()
        planner.incremental_add(self)

    def destroy(self, planner):
        if self.is_satisfied():
            planner.incremental_remove(self)
        else:
            self.remove_from_graph()

    def satisfy(self, mark, planner):
        """Answers the constraint whose place it takes, if there is one."""
        self.choose_method(mark)
        if not self.is_satisfied():
            if self.strength is REQUIRED:
                raise ValueError('a required constraint cannot be satisfied')
            return None
        self.mark_inputs(mark)
        out = self.output()
        overridden = out.determined_by
        if overridden is not None:
            overridden.be_unsatisfied()
        out.determined_by = self
        if not planner.add_propagate(self, mark):
            raise ValueError('a cycle')
        out.mark = mark
        return overridden


class UnaryConstraint(Constraint):
    def __init__(self, cell, strength, planner):
        self.cell, self.strength, self.satisfied = cell, strength, False
        self.add_to(planner)

    def output(self):
        return self.cell

    def add_to_graph(self):
        self.cell.add_constraint(self)
        self.satisfied = False

    def remove_from_graph(self):
        self.cell.remove_constraint(self)
        self.satisfied = False

    def choose_method(self, mark):
        self.satisfied = self.cell.mark != mark and self.strength.stronger(self.cell.strength)

    def is_satisfied(self):
        return self.satisfied

    def be_unsatisfied(self):
        self.satisfied = False

    def mark_inputs(self, mark):
        pass

    def inputs_known(self, mark):
        return True

    def recalculate(self):
        self.cell.strength = self.strength
        self.cell.stay = not self.is_input()
        if self.cell.stay:
            self.execute()

    def execute(self):
        pass


class StayConstraint(UnaryConstraint):
    pass


class EditConstraint(UnaryConstraint):
    def is_input(self):
        return True


class BinaryConstraint(Constraint):
    def __init__(self, first, second, strength, planner):
        self.first, self.second, self.strength = first, second, strength
        self.direction = None
        self.add_to(planner)

    def input(self):
        return self.first if self.direction == 'forward' else self.second

    def output(self):
        return self.second if self.direction == 'forward' else self.first

    def is_satisfied(self):
        return self.direction is not None

    def be_unsatisfied(self):
        self.direction = None

    def add_to_graph(self):
        self.first.add_constraint(self)
        self.second.add_constraint(self)
        self.direction = None

    def remove_from_graph(self):
        self.first.remove_constraint(self)
        self.second.remove_constraint(self)
        self.direction = None

    def choose_method(self, mark):
        first, second, strength = self.first, self.second, self.strength
        if first.mark == mark:
            self.direction = 'forward' if second.mark != mark and strength.stronger(second.strength) else None
        elif second.mark == mark:
            self.direction = 'backward' if strength.stronger(first.strength) else None
        elif first.strength.weaker(second.strength):
            self.direction = 'backward' if strength.stronger(first.strength) else None
        else:
            self.direction = 'forward' if strength.stronger(second.strength) else None

    def mark_inputs(self, mark):
        self.input().mark = mark

    def inputs_known(self, mark):
        source = self.input()
        return source.mark == mark or source.stay or source.determined_by is None

    def recalculate(self):
        source, target = self.input(), self.output()
        target.strength = self.strength.weakest_of(source.strength)
        target.stay = source.stay
        if target.stay:
            self.execute()


class EqualConstraint(BinaryConstraint):
    def execute(self):
        self.output().value = self.input().value


class ScaleConstraint(BinaryConstraint):
    def __init__(self, first, scale, offset, second, strength, planner):
        self.scale, self.offset = scale, offset
        super().__init__(first, second, strength, planner)

    def add_to_graph(self):
        super().add_to_graph()
        self.scale.add_constraint(self)
        self.offset.add_constraint(self)

    def remove_from_graph(self):
        super().remove_from_graph()
        self.scale.remove_constraint(self)
        self.offset.remove_constraint(self)

    def mark_inputs(self, mark):
        super().mark_inputs(mark)
        self.scale.mark = mark
        self.offset.mark = mark

    def execute(self):
        if self.direction == 'forward':
            self.second.value = self.first.value * self.scale.value + self.offset.value
        else:
            self.first.value = (self.second.value - self.offset.value) // self.scale.value

    def recalculate(self):
        source, target = self.input(), self.output()
        target.strength = self.strength.weakest_of(source.strength)
        target.stay = source.stay and self.scale.stay and self.offset.stay
        if target.stay:
            self.execute()


class Planner:
    def __init__(self):
        self.mark = 0

    def new_mark(self):
        self.mark += 1
        return self.mark

    def incremental_add(self, constraint):
        mark = self.new_mark()
        overridden = constraint.satisfy(mark, self)
        while overridden is not None:
            overridden = overridden.satisfy(mark, self)

    def incremental_remove(self, constraint):
        out = constraint.output()
        constraint.be_unsatisfied()
        constraint.remove_from_graph()
        unsatisfied = self.remove_propagate_from(out)
        strength = REQUIRED
        while strength is not WEAKEST:
            for each in unsatisfied:
                if each.strength is strength:
                    self.incremental_add(each)
            strength = strength.next_weaker()

    def add_propagate(self, constraint, mark):
        todo = deque([constraint])
        while todo:
            following = todo.popleft()
            if following.output().mark == mark:
                self.incremental_remove(constraint)
                return False
            following.recalculate()
            self.add_constraints_consuming(following.output(), todo)
        return True

    def add_constraints_consuming(self, cell, todo):
        determining = cell.determined_by
        for each in cell.constraints:
            if each is not determining and each.is_satisfied():
                todo.append(each)

    def remove_propagate_from(self, out):
        unsatisfied = []
        out.determined_by, out.strength, out.stay = None, WEAKEST, True
        todo = deque([out])
        while todo:
            cell = todo.popleft()
            for each in cell.constraints:
                if not each.is_satisfied():
                    unsatisfied.append(each)
            determining = cell.determined_by
            for each in cell.constraints:
                if each is not determining and each.is_satisfied():
                    each.recalculate()
                    todo.append(each.output())
        return unsatisfied

    def plan_from(self, constraints):
        return self.make_plan(deque(each for each in constraints if each.is_input() and each.is_satisfied()))

    def make_plan(self, todo):
        mark, plan = self.new_mark(), []
        while todo:
            following = todo.popleft()
            if following.output().mark != mark and following.inputs_known(mark):
                plan.append(following)
                following.output().mark = mark
                self.add_constraints_consuming(following.output(), todo)
        return plan


def expect(value, expected):
    if value != expected:
        raise ValueError('a wrong value')


def chain(n):
    planner = Planner()
    cells = [Cell(0) for _ in range(n + 1)]
    for i in range(n):
        EqualConstraint(cells[i], cells[i + 1], REQUIRED, planner)
    StayConstraint(cells[-1], STRONG_DEFAULT, planner)
    edit = EditConstraint(cells[0], PREFERRED, planner)
    plan = planner.plan_from([edit])
    for i in range(1, 101):
        cells[0].value = i
        for each in plan:
            each.execute()
        expect(cells[-1].value, i)
    edit.destroy(planner)


def change(cell, value, planner):
    edit = EditConstraint(cell, PREFERRED, planner)
    plan = planner.plan_from([edit])
    for _ in range(10):
        cell.value = value
        for each in plan:
            each.execute()
    edit.destroy(planner)


def projection(n):
    planner, scale, offset = Planner(), Cell(10), Cell(1000)
    sources, targets = [], []
    for i in range(1, n + 1):
        source, target = Cell(i), Cell(i)
        sources.append(source)
        targets.append(target)
        StayConstraint(source, NORMAL, planner)
        ScaleConstraint(source, scale, offset, target, REQUIRED, planner)
    change(sources[-1], 17, planner)
    expect(targets[-1].value, 1170)
    change(targets[-1], 1050, planner)
    expect(sources[-1].value, 5)
    change(scale, 5, planner)
    for i in range(1, n):
        expect(targets[i - 1].value, i * 5 + 1000)
    change(offset, 2000, planner)
    for i in range(1, n):
        expect(targets[i - 1].value, i * 5 + 2000)


for _ in range(15):
    chain(1000)
    projection(1000)
print('done')
