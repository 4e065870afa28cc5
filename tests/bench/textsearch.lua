local function make_text()
  local words = {'the', 'quick', 'brown', 'fox', 'jumps', 'over', 'a', 'lazy', 'dog', 'and', 'sleeps'}
  local parts, seed = {}, 3
  for _ = 1, 2000 do
    seed = (seed * 1309 + 13849) & 65535
    parts[#parts + 1] = words[(seed >> 4) % 11 + 1]
  end
  return table.concat(parts, ' ') .. ' end'
end

local function occurrences(part, text)
  local count, position = 0, text:find(part, 1, true)
  while position do
    count = count + 1
    position = text:find(part, position + 1, true)
  end
  return count
end

local function main()
  local text, letters, found, size = make_text(), 0, 0, 0
  for _ = 1, 600 do
    local words = {}
    for word in text:gmatch('[^ ]+') do words[#words + 1] = word end
    for _, word in ipairs(words) do if #word > 3 then letters = letters + #word end end
    found = found + occurrences('fox', text) + occurrences('lazy d', text)
    if text:find('never', 1, true) then found = 0 end
    local replaced = text:gsub('dog', 'camel')
    size = size + #table.concat(words, ',') + #replaced:upper()
    for _, word in ipairs(words) do
      if word:sub(1, 1) == 's' then size = size + #word:sub(2) end
    end
  end
  print(letters)
  print(found)
  print(size)
end

main()
