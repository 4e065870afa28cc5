local Account = {}
Account.__index = Account

function Account.new(limit) return setmetatable({balance = 0, entries = 0, limit = limit}, Account) end
function Account:get_balance() return self.balance end
function Account:set_balance(n) self.balance = n end
function Account:get_entries() return self.entries end
function Account:get_limit() return self.limit end
function Account:is_full() return self:get_balance() >= self:get_limit() end

function Account:deposit(n)
  self:set_balance(self:get_balance() + n)
  self.entries = self.entries + 1
end

function Account:transfer(n, account)
  if self:get_balance() < n then return false end
  self:deposit(0 - n)
  account:deposit(n)
  return true
end

local function main()
  local from, to, moved = Account.new(1000), Account.new(1000), 0
  for i = 1, 1000000 do
    from:deposit(3)
    if from:transfer(2, to) then moved = moved + 1 end
    if to:is_full() then to:set_balance(0) end
    if from:get_balance() > 100000 then from:set_balance(to:get_balance()) end
  end
  return moved + from:get_balance() + to:get_balance() + from:get_entries() + to:get_entries()
end

print(main())
