local n, found, columns, ups, downs = 9, 0, {}, {}, {}
for i = 1, 2 * n do columns[i], ups[i], downs[i] = true, true, true end
local function place(row)
  if row > n then found = found + 1 return end
  for c = 1, n do
    if columns[c] and ups[row + c - 1] and downs[row - c + n] then
      columns[c], ups[row + c - 1], downs[row - c + n] = false, false, false
      place(row + 1)
      columns[c], ups[row + c - 1], downs[row - c + n] = true, true, true
    end
  end
end
place(1)
print(found)
