//! The same scripts here and on a reference server, where one is installed.
//!
//! Without one this test passes without having shown anything.

mod common;

use std::io::Cursor;

use common::{Small, engine};
use protocol::{Dialect, Output, Reply};
use script::Script;
use testkit::Value;
use testkit::client::decode;
use testkit::server::Oracle;
use testkit::transcript::Target;

/// Shows a value of Lua in full, floats to the last digit, tables in the order of their keys.
const SHOW: &str = "local function show(v)
  if type(v) == 'number' then return string.format('%.17g', v) end
  if type(v) == 'string' then return string.format('%q', v) end
  if type(v) ~= 'table' then return v == cjson.null and 'null' or tostring(v) end
  local keys, parts = {}, {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return type(a) .. tostring(a) < type(b) .. tostring(b) end)
  for _, k in ipairs(keys) do parts[#parts + 1] = show(k) .. '=' .. show(v[k]) end
  return '{' .. table.concat(parts, ',') .. '}'
end
local function hex(s) return (s:gsub('.', function(c) return string.format('%02x', c:byte()) end)) end
local function pick(s) local i = math.random(#s) return s:sub(i, i) end
local function try(f, ...)
  local r = {pcall(f, ...)}
  local parts = {}
  for i = 1, table.maxn(r) do parts[i] = show(r[i]) end
  return table.concat(parts, ' ')
end
";

/// How deep replies are read.
const DEPTH: usize = 100;

/// Each is the end of a script that begins with [`SHOW`].
const SCRIPTS: &[&str] = &[
    // Conversions.
    "return {1, 2.9, -2.9, 1e15, '1', true, false, 3}",
    "return {1, nil, 3}",
    "return {ok = 'a\\nb'}",
    "return {err = 'Some Error'}",
    "return {1, {err = 'Nested error'}, {ok = 'x'}, {double = 1.5}}",
    "return {double = 0.5}",
    "redis.setresp(3) return {true, false}",
    "redis.setresp(3) return show({redis.call('get', 'missing')})",
    "return {double = 1/0}",
    "return {big_number = '3492890328409238509324850943850943825024385'}",
    "return {verbatim_string = {format = 'mkd', string = 'x'}}",
    "return {verbatim_string = {format = 1, string = 'x'}}",
    "return {map = {k = 'v'}}",
    "return {set = {k = true}}",
    "return {map = {}, set = {}}",
    "return {{{{}}}}",
    "return 2^53",
    "return -2^63",
    "return 2^62",
    "return cjson.null",
    "return KEYS",
    "return ARGV",
    "return {err = 5}",
    "return {ok = 5}",
    // Commands.
    "redis.call('set', 'k', 10) return redis.call('incr', 'k')",
    "redis.call('set', 'k', 'x') return redis.pcall('incr', 'k')",
    "redis.call('set', 'k', 'x') return redis.call('incr', 'k')",
    "return show(redis.call('set', 'k', 1))",
    "return show(redis.call('get', 'missing'))",
    "return show(redis.pcall('nothing'))",
    "return redis.call('nothing')",
    "return redis.call('get')",
    "return redis.call()",
    "return redis.call({})",
    "return redis.pcall(nil)",
    "return try(redis.call)",
    "return try(redis.call, 'get')",
    "return redis.call('echo', 12345)",
    "return redis.call('echo', -7)",
    // Errors.
    "error('x')",
    "error('x', 0)",
    "error('x', 2)",
    "error({err = 'My Err'})",
    "error({err = 'x'})",
    "error(nil)",
    "error(5)",
    "error(true)",
    "return nosuch",
    "nosuch = 1",
    "return nosuch.x",
    "local t = nil return t.x",
    "local t = {} return t.x.y",
    "return 1 + {}",
    "return 'a' < 1",
    "return #5",
    "return ('x')()",
    "string.x = 1",
    "rawset(_G, 'x', 1)",
    "setmetatable(_G, {})",
    "getmetatable('').__index = nil",
    "KEYS[1] = 'x' return KEYS[1]",
    "return return",
    "return 'unfinished",
    "for",
    "return redis.error_reply('a b')",
    "return redis.error_reply('a')",
    "return redis.error_reply('-a b')",
    "return redis.error_reply(1)",
    "return redis.status_reply('a')",
    "return redis.status_reply()",
    "return redis.sha1hex('abc')",
    "return redis.sha1hex(1)",
    "return redis.sha1hex()",
    "return try(redis.setresp, 5)",
    "return try(redis.set_repl, 99)",
    "return try(redis.log, 1)",
    "return try(redis.acl_check_cmd, 'nothing')",
    "return try(error)",
    "return try(error, {err = 'boxed'})",
    "return try(error, {a = 1})",
    "return show({xpcall(function() error('x') end, function(e) return 'h ' .. e end)})",
    "local function f() return f() + 1 end return f()",
    "return try(function() local function f() return f() + 1 end return f() end)",
    "#!lua flags=nonsense\nreturn 1",
    "return show({pcall(string.rep)})",
    // Lua.
    "return show({loadstring('\\27Lua')})",
    "return show({loadstring('return +')})",
    "return show({type(load(function() return nil end))})",
    "return show({pcall(load, 5)})",
    "return show({unpack({1, 2, 3}, -1, 1)})",
    "return try(unpack, {}, 1, 1e8)",
    "return try(rawset, {}, nil, 1)",
    "return try(setmetatable, {}, 1)",
    "return try(setmetatable, setmetatable({}, {__metatable = 1}), {})",
    "return try(next, {}, 'x')",
    "return try(pairs)",
    "return try(collectgarbage, 'x')",
    "return show({string.gfind('xay', '%a')()})",
    "return try(table.insert, {}, 1, 2, 3)",
    "return try(table.setn, {}, 1)",
    "return show({pcall(coroutine.resume, 1)})",
    "local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) error('in ' .. b) end)
     return show({{coroutine.resume(co, 1)}, {coroutine.resume(co, 'x')}, {coroutine.resume(co)}})",
    "local t = {5, 3, 8, 1, 9, 2} table.sort(t) return t",
    "local t = {} for i = 1, 50 do t[i] = {i % 7, i} end
     table.sort(t, function(a, b) return a[1] < b[1] end) return show(t)",
    "return try(table.sort, {1, 'x', 2})",
    "return try(table.sort, {3, 1, 2, 5, 4}, function() return true end)",
    "local t = {1, 2, 3} table.insert(t, 2, 'x') table.insert(t, 9) table.insert(t, 0, 'z') return show(t)",
    "local t = {1, 2, 3} return show({table.remove(t, 1), table.remove(t), table.remove(t, 5), t})",
    "return try(math.random, 0)",
    "return try(math.random, 2, 1)",
    "return try(math.random, 1, 2, 3)",
    "math.randomseed(7) return show({math.random(), math.random(100), math.random(-9, 9)})",
    "math.randomseed(-1) return show({math.random(), math.random(), math.random()})",
    // Patterns.
    "return show({('hello world'):find('o w')})",
    "return show({('hello world'):find('o', 6, true)})",
    "return show({('hello'):find('l+')})",
    "return show({('hello'):find('', 10)})",
    "return show({('hello'):find('', 6)})",
    "return show({('hello'):find('l', -2)})",
    "return show({('hello'):match('(h)(.)(%1*)()')})",
    "return show({('key = value'):match('^(%w+)%s*=%s*(%w+)$')})",
    "return show({('THE (quick) fox'):find('%((%a+)%)')})",
    "return show({('THE (quick) fox'):gsub('%f[%a]%a+', string.lower)})",
    "return show({('f(a(b)c)d'):match('%b()')})",
    "return show({('abc'):gsub('', '-')})",
    "return show({('abc'):gsub('%w', '%0%0', 2)})",
    "return show({('abc'):gsub('(b)(c)', '%2%1')})",
    "return show({('$name is $age'):gsub('%$(%w+)', {name = 'x', age = 5})})",
    "return show({('abc'):gsub('.', function(c) if c == 'b' then return false end return c:upper() end)})",
    "return show({('a,b,,c'):gsub(',', ';', 2)})",
    "return show({('  trim  '):gsub('^%s*(.-)%s*$', '%1')})",
    "return show({('x^2'):gsub('^x', 'y')})",
    "return show({('a.b-c'):gsub('[%.%-]', '_')})",
    "return show({('a]b^c'):gsub('[]^]', '_')})",
    "return show({('\\0a\\0'):gsub('%z', 'N')})",
    "return show({('0x1F'):match('^0[xX](%x+)$')})",
    "local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[#t + 1] = k .. v end return t",
    "local t = {} for w in ('one two'):gmatch('%a+') do t[#t + 1] = w end return t",
    "local t = {} for p in ('abc'):gmatch('()') do t[#t + 1] = p end return t",
    "return try(string.find, 'x', '[')",
    "return try(string.find, 'x', '%')",
    "return try(string.find, 'x', '%f')",
    "return try(string.find, 'x', '%b')",
    "return try(string.find, 'x', '(')",
    "return try(string.find, 'x', ')')",
    "return try(string.find, 'x', '%1')",
    "return try(string.find, 'x', ('()'):rep(33))",
    "return try(string.gsub, 'x', 'x', '%2')",
    "return try(string.gsub, 'x', 'x')",
    "return try(string.gsub, 'x', 'x', function() return {} end)",
    "return try(string.gsub, 'x', 'x', true)",
    "return show({('abc'):gsub('b', '%%')})",
    "return show({('abc'):gsub('b', 'x', -1)})",
    "return show({('a-b'):find('-')})",
    "return show({('ab'):find('a-b')})",
    "return show({('aaab'):match('a-b')})",
    "return show({('aaa'):match('a?a?a?a?')})",
    "return show({('x'):rep(3), ('x'):rep(0), ('x'):rep(-1), (''):rep(5)})",
    // JSON.
    "return cjson.encode({1, 2, 3})",
    "return cjson.encode({})",
    "return cjson.encode({a = {b = {1, 'x', true, false, cjson.null}}})",
    "return cjson.encode({[1] = 1, [2] = 2, [4] = 4})",
    "return try(cjson.encode, {[1] = 1, [100] = 2})",
    "cjson.encode_sparse_array(true) local r = cjson.encode({[100] = 2}) cjson.encode_sparse_array(false) return r",
    "return cjson.encode({[1.5] = 1})",
    "return cjson.encode({[-1] = 1})",
    "return cjson.encode('\"/\\\\\\b\\f\\n\\r\\t\\0\\1\\31\\127\\200')",
    "return cjson.encode({0.1, 1e15, 1e14, 123456789012345, -0, 1/3, 1e100, 5e-324})",
    "return try(cjson.encode, 1/0)",
    "return try(cjson.encode, 0/0)",
    "return try(cjson.encode, function() end)",
    "return try(cjson.encode, {[true] = 1})",
    "return try(cjson.encode)",
    "return try(cjson.encode, 1, 2)",
    "cjson.encode_invalid_numbers(true) local r = cjson.encode({1/0, -1/0}) cjson.encode_invalid_numbers(false) return r",
    "cjson.encode_invalid_numbers('null') local r = cjson.encode({0/0}) cjson.encode_invalid_numbers('off') return r",
    "cjson.encode_number_precision(3) local r = cjson.encode(math.pi) cjson.encode_number_precision(14) return r",
    "cjson.encode_max_depth(2) local r = try(cjson.encode, {{{1}}}) cjson.encode_max_depth(1000) return r",
    "local t = {} t[1] = t return try(cjson.encode, t)",
    "return show({cjson.encode_sparse_array(), cjson.encode_max_depth(), cjson.decode_max_depth(), cjson.encode_number_precision(), cjson.encode_keep_buffer(), cjson.encode_invalid_numbers(), cjson.decode_invalid_numbers()})",
    "return try(cjson.encode_max_depth, 0)",
    "return try(cjson.encode_number_precision, 15)",
    "return try(cjson.encode_invalid_numbers, 'x')",
    "return try(cjson.encode_sparse_array, 1, 2, 3, 4)",
    "return show(cjson.decode('[1, 2.5, -3e2, \"x\", true, false, null, {}, []]'))",
    "return show(cjson.decode('{\"a\": {\"b\": [1]}, \"c\": \"\\\\u00e9\\\\ud83d\\\\ude00\\\\n\"}'))",
    "return show(cjson.decode('  \"x\"  '))",
    "return show(cjson.decode('[0x10, 01, nan, Infinity, -inf]') [1])",
    "return show({cjson.decode('1e5'), cjson.decode('-0'), cjson.decode('1E+2'), cjson.decode('0.1')})",
    "return try(cjson.decode, '')",
    "return try(cjson.decode, '[1,]')",
    "return try(cjson.decode, '[1 2]')",
    "return try(cjson.decode, '{\"a\" 1}')",
    "return try(cjson.decode, '{\"a\":1,}')",
    "return try(cjson.decode, '{1:1}')",
    "return try(cjson.decode, '[1] x')",
    "return try(cjson.decode, 'tru')",
    "return try(cjson.decode, '\"abc')",
    "return try(cjson.decode, '\"\\\\x\"')",
    "return try(cjson.decode, '\"\\\\u12g4\"')",
    "return try(cjson.decode, '\"\\\\ud800x\"')",
    "return try(cjson.decode, '\"\\\\udc00\"')",
    "return try(cjson.decode, '@')",
    "return try(cjson.decode, '-')",
    "return try(cjson.decode, '+1')",
    "return try(cjson.decode, '[')",
    "return try(cjson.decode, ('['):rep(1001))",
    "return try(cjson.decode, '\\0\\0')",
    "return try(cjson.decode, '1\\0rest')",
    "return try(cjson.decode)",
    "return try(cjson.decode, {})",
    "return show(cjson.decode(5))",
    "cjson.decode_invalid_numbers(false) local r = try(cjson.decode, '[0x10]') cjson.decode_invalid_numbers(true) return r",
    "cjson.decode_invalid_numbers(false) local r = try(cjson.decode, '[nan]') cjson.decode_invalid_numbers(true) return r",
    "cjson.decode_max_depth(2) local r = try(cjson.decode, '[[[1]]]') cjson.decode_max_depth(1000) return r",
    "local own = cjson.new() own.encode_max_depth(1) return show({try(own.encode, {{}}), cjson.encode({{}})})",
    "return show({cjson._NAME, cjson._VERSION, type(cjson.null)})",
    // MessagePack.
    "return hex(cmsgpack.pack(0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 2^53))",
    "return hex(cmsgpack.pack(-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649))",
    "return hex(cmsgpack.pack(0.5, 0.1, 1e300, 1/0, -1/0, 2^63, -2^63))",
    "return hex(cmsgpack.pack('', 'x', ('x'):rep(31), ('x'):rep(32)))",
    "return redis.sha1hex(cmsgpack.pack(('x'):rep(255), ('x'):rep(256), ('x'):rep(65535), ('x'):rep(65536)))",
    "return hex(cmsgpack.pack(nil, true, false, cjson.null, function() end))",
    "return hex(cmsgpack.pack({}, {1, 2, 3}, {a = 1}, {[1] = 1, [3] = 3}, {{}, {{}}}))",
    "local t = {} for i = 1, 20 do t[i] = i end return hex(cmsgpack.pack(t))",
    "local t = {} t[1] = t return hex(cmsgpack.pack(t))",
    "return hex(cmsgpack.pack({[0] = 1}, {[1.5] = 2}, {[-1] = 3}))",
    "return try(cmsgpack.pack)",
    "return show({cmsgpack.unpack(cmsgpack.pack(1, -1, 300, -300, 70000, -70000, 2^40, -2^40, 0.5, 0.1, 'x', true, {1, {a = 'b'}}))})",
    "return show({cmsgpack.unpack('\\207\\255\\255\\255\\255\\255\\255\\255\\255')})",
    "return show({cmsgpack.unpack('\\211\\255\\255\\255\\255\\255\\255\\255\\254\\208\\128\\209\\128\\0\\210\\128\\0\\0\\0')})",
    "return show({cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3))})",
    "return show({cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 1)})",
    "return show({cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 2)})",
    "return show({cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2)})",
    "return show({cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 5, 1)})",
    "return show({cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 0, 0)})",
    "return try(cmsgpack.unpack_one, 'x', -1)",
    "return try(cmsgpack.unpack_one, 'x', 5)",
    "return try(cmsgpack.unpack_limit, 'x', -5)",
    "return try(cmsgpack.unpack_limit, 'x')",
    "return try(cmsgpack.unpack, '\\193')",
    "return try(cmsgpack.unpack, '\\204')",
    "return try(cmsgpack.unpack, '\\146\\1')",
    "return try(cmsgpack.unpack, '\\217\\5ab')",
    "return try(cmsgpack.unpack, '\\129\\192\\1')",
    "return try(cmsgpack.unpack, '\\129\\202\\127\\192\\0\\0\\1')",
    "return try(cmsgpack.unpack, {})",
    "return show({cmsgpack.unpack('')})",
    "return show({cmsgpack._NAME, cmsgpack._VERSION, cmsgpack._COPYRIGHT, cmsgpack._DESCRIPTION})",
    // struct.
    "return hex(struct.pack('>bBhHlLiI', -1, 255, -2, 65535, -3, 4, -5, 6))",
    "return hex(struct.pack('<bBhHlLTiI', -1, 255, -2, 65535, -3, 4, 9, -5, 6))",
    "return hex(struct.pack('>fd', 1.5, -0.1) .. struct.pack('<fd', 1.5, -0.1))",
    "return hex(struct.pack('i1i2i3i5i7i8i9i16i32', -1, -2, -3, -5, -7, -8, -9, -16, -32))",
    "return hex(struct.pack('>i3I9', 0x123456, 2^40))",
    "return hex(struct.pack('sc3c0x', 'abc', 'defgh', 'ij'))",
    "return hex(struct.pack('!bi!4bi!8bd!2bl', 1, 2, 3, 4, 5, 6, 7, 8))",
    "return hex(struct.pack('b h i', 300, 70000, 2^33))",
    "return hex(struct.pack('LLl', 2^64, 2^63, -2^70))",
    "return hex(struct.pack('i0b', 5, 6))",
    "return show({struct.unpack('>bBhHi', '\\255\\255\\255\\254\\255\\254\\255\\255\\255\\253')})",
    "return show({struct.unpack('<lL', ('\\255'):rep(16))})",
    "return show({struct.unpack('i3I3i9', ('\\255'):rep(15))})",
    "return show({struct.unpack('>fd', struct.pack('>fd', 0.1, 0.1))})",
    "return show({struct.unpack('sbc0', 'abc\\0\\2xyz')})",
    "return show({struct.unpack('!4bi', 'a\\0\\0\\0\\1\\0\\0\\0')})",
    "return show({struct.unpack('b', 'abc', 2)})",
    "return show({struct.unpack('xxb', 'abc')})",
    "return show({struct.unpack('i0', '')})",
    "return show({struct.size('bhilTfd'), struct.size('!bhil'), struct.size('c10x'), struct.size('i3 i5')})",
    "return try(struct.pack, 'z', 1)",
    "return try(struct.pack, 'b')",
    "return try(struct.pack, 'c5', 'abc')",
    "return try(struct.pack, 'i33', 1)",
    "return try(struct.pack, 'i99999999999', 1)",
    "return try(struct.pack, '!3i', 1)",
    "return try(struct.pack, 's', {})",
    "return try(struct.unpack, 'i', 'abc')",
    "return try(struct.unpack, 's', 'abc')",
    "return try(struct.unpack, 'c0', 'abc')",
    "return try(struct.unpack, 'bc0', '\\9abc')",
    "return try(struct.unpack, 'b', 'abc', 0)",
    "return try(struct.unpack, 'b', 'abc', -1)",
    "return try(struct.unpack, 'b', 'abc', 9)",
    "return try(struct.size, 's')",
    "return try(struct.size, 'c0')",
    "return try(struct.size, '#')",
    // bit.
    "return {bit.tobit(0xffffffff), bit.tobit(2^32 + 5), bit.tobit(-1), bit.tobit(1.5), bit.tobit(2.5)}",
    "return {bit.bnot(0), bit.band(0xff, 0x0f, 0x07), bit.bor(1, 2, 4), bit.bxor(7, 2)}",
    "return {bit.lshift(1, 31), bit.lshift(1, 32), bit.rshift(-1, 28), bit.arshift(-256, 4), bit.lshift(1, -1)}",
    "return {bit.rol(0x12345678, 12), bit.ror(0x12345678, 12), bit.rol(1, 0), bit.bswap(0x12345678)}",
    "return {bit.tohex(255), bit.tohex(255, 4), bit.tohex(255, -4), bit.tohex(-1, 0), bit.tohex(0xdeadbeef, -8), bit.tohex(1, 100)}",
    "return {bit.tobit('10'), bit.tobit('0x10')}",
    "return try(bit.tobit, 'x')",
    "return try(bit.band)",
    "return try(bit.band, 1, {})",
    "return try(bit.lshift, 1)",
    // Much at random, the same here and there; what differs shows only in the digest.
    "math.randomseed(1) local acc = ''
     for i = 1, 6000 do
       local p, s = '', ''
       for j = 1, math.random(8) do p = p .. pick('aab%%.[]^$()()*+-?1bfdws') end
       for j = 1, math.random(10) do s = s .. pick('ab1 -]()') end
       acc = redis.sha1hex(acc .. try(string.find, s, p) .. try(string.gsub, s, p, '<%0>') .. try(string.match, s, p, 2))
     end return acc",
    "math.randomseed(2) local acc = ''
     for i = 1, 6000 do
       local s = ''
       for j = 1, math.random(12) do s = s .. pick('[]{}{}[],,::\"\"\\\\\\\\u0d1ab.-+eE ntfx') end
       acc = redis.sha1hex(acc .. try(cjson.decode, s) .. try(cjson.decode, '[' .. s .. ']') .. try(cjson.decode, '\"' .. s .. '\"'))
     end return acc",
    "math.randomseed(3) local acc = ''
     for i = 1, 6000 do
       local s = ''
       for j = 1, math.random(12) do s = s .. string.char(math.random(0, 255)) end
       acc = redis.sha1hex(acc .. try(cmsgpack.unpack, s) .. try(cmsgpack.unpack_limit, s, 2, math.random(0, 4)))
     end return acc",
    "math.randomseed(4) local acc = ''
     for i = 1, 6000 do
       local f, s = '', ''
       for j = 1, math.random(6) do f = f .. pick('bBhHlLTiIfdsxc0123458!<> ') end
       for j = 1, math.random(24) do s = s .. string.char(math.random(0, 255)) end
       local function n() return math.random(-1000, 1000) * 2 ^ math.random(0, 40) end
       acc = redis.sha1hex(acc .. try(struct.unpack, f, s) .. try(struct.size, f) .. try(struct.pack, f, n(), n(), n(), n(), n(), n()))
     end return acc",
    "math.randomseed(5) local acc = ''
     for i = 1, 6000 do
       local a, b = math.random(-2 ^ 31, 2 ^ 31 - 1) + math.random(), math.random(-100, 100)
       acc = redis.sha1hex(acc .. show({bit.tobit(a), bit.band(a, b), bit.bxor(a, b), bit.lshift(a, b), bit.rshift(a, b),
         bit.arshift(a, b), bit.rol(a, b), bit.ror(a, b), bit.bswap(a), bit.tohex(a, b)}))
     end return acc",
    "math.randomseed(6) local acc = ''
     for i = 1, 2000 do
       local t = {}
       for j = 1, math.random(0, 40) do t[j] = math.random(20) end
       local u = {unpack(t)}
       table.sort(t)
       local kind = math.random(3)
       local order = try(table.sort, u, function(a, b)
         if kind == 1 then return a > b elseif kind == 2 then return a % 3 < b % 3 else return (a * b) % 2 == 0 end end)
       acc = redis.sha1hex(acc .. show(t) .. show(u) .. order)
     end return acc",
    "math.randomseed(7) local acc = ''
     local function any(depth)
       local kind = math.random(depth > 3 and 5 or 7)
       if kind == 1 then return math.random(-300, 70000) elseif kind == 2 then return math.random() * 10 ^ math.random(-20, 20)
       elseif kind == 3 then return ('x\\0/\\200\"'):rep(math.random(0, 9)) elseif kind == 4 then return math.random() < 0.5
       elseif kind == 5 then return cjson.null end
       local t = {}
       for i = 1, math.random(0, 5) do t[i] = any(depth + 1) end
       return t
     end
     for i = 1, 3000 do
       local v = any(1)
       acc = redis.sha1hex(acc .. try(cjson.encode, v) .. try(cmsgpack.pack, v))
     end return acc",
];

fn here(source: &str, dialect: Dialect) -> Vec<u8> {
    let mut output = Output::new();
    let mut reply = Reply::new(&mut output, dialect);
    let mut host = Small::default();
    let result = Script::new(source.as_bytes())
        .and_then(|script| engine().run(&script, &[b"k1", b"k2"], &[b"a1"], &mut host, &mut reply));
    common::bytes(result, &output)
}

/// Whether two replies are the same, but for what Valkey calls otherwise.
fn is_alike(here: &Value, there: &Value, target: &Target) -> bool {
    if target.name == "valkey" {
        return in_words_of_valkey(here) == in_words_of_valkey(there);
    }
    here == there
}

/// A reply without the words that Valkey has changed.
fn in_words_of_valkey(reply: &Value) -> String {
    let mut text = reply.to_string();
    let changed = [
        ("Lua redis lib command", "Command"),
        (" redis lib", ""),
        ("Redis command", "command"),
        ("redis.", "server."),
        ("Redis Ltd.", "Salvatore Sanfilippo"),
    ];
    for (ours, theirs) in changed {
        text = text.replace(ours, theirs);
    }
    if let Some((before, after)) = text.split_once(" script: ")
        && let Some((_, place)) = after.split_once("on @")
    {
        text = format!("{before} script: on @{place}");
    }
    text
}

#[test]
fn scripts_reply_as_on_the_reference_server() {
    let Some(oracle) = Oracle::find() else { return };
    for (dialect, version) in [(Dialect::Resp2, "2"), (Dialect::Resp3, "3")] {
        let mut client = oracle.server().client().unwrap();
        client.command(&["HELLO", version]).unwrap();
        let mut different = Vec::new();
        for script in SCRIPTS {
            let source = if script.starts_with("#!") {
                (*script).to_owned()
            } else {
                format!("{SHOW}{script}")
            };
            client.command(&["FLUSHALL"]).unwrap();
            let there = client.command(&["EVAL", &source, "2", "k1", "k2", "a1"]);
            let there = there.unwrap_or_else(|error| panic!("{script}: {error}"));
            let mut bytes = Cursor::new(here(&source, dialect));
            let here = decode(&mut bytes, DEPTH).unwrap();
            if !is_alike(&here, &there, oracle.target()) {
                different.push(format!("{script}\n  here  {here}\n  there {there}"));
            }
        }
        assert!(different.is_empty(), "RESP{version}:\n{}", different.join("\n"));
    }
}
