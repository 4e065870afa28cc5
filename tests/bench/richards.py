# Richards: the kernel of an operating system with six tasks. The counts of queued packets and of holds must be 23246 and 9297.


class Packet:
    def __init__(self, task, kind, link):
        self.link, self.task, self.kind = link, task, kind
        self.datum = 0
        self.data = [0] * 4

    def is_work(self):
        return self.kind == 'work'

    def appended_to(self, queue):
        self.link = None
        if queue is None:
            return self
        last = queue
        while last.link is not None:
            last = last.link
        last.link = self
        return queue


class Task:
    def __init__(self, scheduler, identity, priority, queue):
        self.scheduler, self.identity, self.priority, self.queue = scheduler, identity, priority, queue
        self.link = None
        self.pending, self.waiting, self.held = queue is not None, True, False

    def make_running(self):
        self.waiting = self.pending = False

    def hold(self):
        self.held = True

    def release(self):
        self.held = False

    def suspend(self):
        self.waiting = True

    def is_blocked(self):
        return self.held or self.waiting and not self.pending

    def run(self):
        packet = None
        if self.waiting and self.pending:
            packet = self.queue
            self.queue = packet.link
            self.waiting = False
            self.pending = self.queue is not None
        return self.process(packet)

    def accept(self, packet, task):
        if self.queue is None:
            self.queue = packet
            self.pending = True
            return self if self.priority > task.priority else task
        self.queue = packet.appended_to(self.queue)
        return task


class IdleTask(Task):
    control = 1

    def process(self, packet):
        self.count -= 1
        if self.count == 0:
            return self.scheduler.hold_current()
        if self.control % 2 == 0:
            self.control //= 2
            return self.scheduler.release(5)
        self.control = self.control // 2 ^ 0xD008
        return self.scheduler.release(6)


class WorkTask(Task):
    handler = 3
    letter = 0

    def process(self, packet):
        if packet is None:
            return self.scheduler.suspend_current()
        self.handler = 7 - self.handler
        packet.task = self.handler
        packet.datum = 1
        for i in range(4):
            self.letter = 1 if self.letter == 26 else self.letter + 1
            packet.data[i] = self.letter
        return self.scheduler.enqueue(packet)


class HandlerTask(Task):
    work = devices = None

    def process(self, packet):
        if packet is not None:
            if packet.is_work():
                self.work = packet.appended_to(self.work)
            else:
                self.devices = packet.appended_to(self.devices)
        work, device = self.work, self.devices
        if work is None:
            return self.scheduler.suspend_current()
        datum = work.datum
        if datum > 4:
            self.work = work.link
            return self.scheduler.enqueue(work)
        if device is None:
            return self.scheduler.suspend_current()
        self.devices = device.link
        device.datum = work.data[datum - 1]
        work.datum = datum + 1
        return self.scheduler.enqueue(device)


class DeviceTask(Task):
    packet = None

    def process(self, packet):
        if packet is not None:
            self.packet = packet
            return self.scheduler.hold_current()
        old = self.packet
        if old is None:
            return self.scheduler.suspend_current()
        self.packet = None
        return self.scheduler.enqueue(old)


class Scheduler:
    def __init__(self, count):
        self.queued = self.holds = 0
        self.tasks, self.table = None, []
        idle = self.add(IdleTask, 0, None)
        idle.count = count
        idle.make_running()
        self.add(WorkTask, 1000, self.packets(2, 2, 'work'))
        self.add(HandlerTask, 2000, self.packets(3, 5, 'device'))
        self.add(HandlerTask, 3000, self.packets(3, 6, 'device'))
        self.add(DeviceTask, 4000, None)
        self.add(DeviceTask, 5000, None)

    @staticmethod
    def packets(count, task, kind):
        packet = None
        for _ in range(count):
            packet = Packet(task, kind, packet)
        return packet

    def add(self, kind, priority, queue):
        task = kind(self, len(self.table) + 1, priority, queue)
        task.link = self.tasks
        self.tasks = task
        self.table.append(task)
        return task

    def run(self):
        self.current = self.tasks
        while self.current is not None:
            self.current = self.current.link if self.current.is_blocked() else self.current.run()

    def hold_current(self):
        self.holds += 1
        self.current.hold()
        return self.current.link

    def suspend_current(self):
        self.current.suspend()
        return self.current

    def release(self, number):
        task = self.table[number - 1]
        task.release()
        return task if task.priority > self.current.priority else self.current

    def enqueue(self, packet):
        task = self.table[packet.task - 1]
        self.queued += 1
        packet.link = None
        packet.task = self.current.identity
        return task.accept(packet, self.current)


for i in range(15):
    scheduler = Scheduler(10000)
    scheduler.run()
    if (scheduler.queued, scheduler.holds) != (23246, 9297):
        raise SystemExit('wrong counts')
    if i == 0:
        print(scheduler.queued)
        print(scheduler.holds)
