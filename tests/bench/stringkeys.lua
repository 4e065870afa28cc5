local syllables = {'ba', 'do', 'ki', 'lu', 'me', 'no', 'ra', 'su', 'ti', 'wo'}
local function word(n)
  return syllables[n % 10 + 1] .. syllables[n // 10 % 10 + 1] .. syllables[n // 100 % 10 + 1] .. syllables[n // 1000 % 10 + 1]
end

local function main()
  local counts, seed, size, hits, best = {}, 5, 0, 0, ''
  for _ = 1, 1200000 do
    seed = (seed * 1309 + 13849) & 65535
    local w = word(seed)
    counts[w] = (counts[w] or 0) + 1
  end
  for i = 1, 600000 do if counts[word(i)] then hits = hits + 1 end end
  for w, count in pairs(counts) do
    size = size + 1
    local most = counts[best] or 0
    if count > most or count == most and w < best then best = w end
  end
  print(size)
  print(hits)
  print(best)
  print(counts[best])
end

main()
