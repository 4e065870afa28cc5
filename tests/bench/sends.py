class Account:
    def __init__(self, limit):
        self.balance = self.entries = 0
        self.limit = limit

    def get_balance(self):
        return self.balance

    def set_balance(self, n):
        self.balance = n

    def get_entries(self):
        return self.entries

    def get_limit(self):
        return self.limit

    def is_full(self):
        return self.get_balance() >= self.get_limit()

    def deposit(self, n):
        self.set_balance(self.get_balance() + n)
        self.entries += 1

    def transfer(self, n, account):
        if self.get_balance() < n:
            return False
        self.deposit(0 - n)
        account.deposit(n)
        return True


def main():
    source, to, moved = Account(1000), Account(1000), 0
    for i in range(1, 1000001):
        source.deposit(3)
        if source.transfer(2, to):
            moved += 1
        if to.is_full():
            to.set_balance(0)
        if source.get_balance() > 100000:
            source.set_balance(to.get_balance())
    return moved + source.get_balance() + to.get_balance() + source.get_entries() + to.get_entries()


print(main())
