local t, count = {}, 0
for i = 1, 300000 do t[#t + 1] = 'line '; t[#t + 1] = tostring(i); t[#t + 1] = '\n' end
local s = table.concat(t)
for i = 1, #s do if s:byte(i) == 49 then count = count + 1 end end
print(count)
