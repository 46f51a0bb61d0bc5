//! Rows about data types, scripts and search.

use crate::rules::EVENTS;
use crate::setting::{
    ANY_BYTES, BYTES, COUNT, Kind, LONG, MILLIS, Setting, inert, int, later, live,
};

const ANY_INT: Kind = int(i32::MIN as i64, i32::MAX as i64);

#[rustfmt::skip]
pub(super) const TYPES: &[Setting] = &[
    live("databases", int(1, i32::MAX as i64), "16", "number of databases").alias(&["dbnum"]).immutable(),
    live("notify-keyspace-events", Kind::Custom(&EVENTS), "", "classes of events that are published"),
    live("hash-max-listpack-entries", LONG, "512", "most fields of a hash in the small encoding").alias(&["hash-max-ziplist-entries"]),
    live("hash-max-listpack-value", BYTES, "64", "longest field or value of a hash in the small encoding").alias(&["hash-max-ziplist-value", "listpack_max_field_len"]),
    later("listpack_max_bytes", BYTES, "1024", "most bytes of a hash in the small encoding").fixed(),
    live("list-max-listpack-size", ANY_INT, "-2", "most elements of a list node, or its size when negative").alias(&["list-max-ziplist-size"]),
    live("list-compress-depth", COUNT, "0", "list nodes at each end that stay uncompressed; 0 compresses none"),
    later("list_compress_level", ANY_INT, "-1", "level of list compression").fixed(),
    later("list_compress_dict_threshold", LONG, "0", "bytes of a list from which a dictionary is trained; 0 trains none").fixed(),
    later("list_tiering_threshold", LONG, "0", "bytes of a list from which its middle goes to disk; 0 never does").fixed(),
    later("list_tiering_prefetch_depth", LONG, "0", "list nodes read from disk ahead of need").fixed(),
    live("set-max-intset-entries", LONG, "512", "most members of a set of integers in the small encoding"),
    live("set-max-listpack-entries", LONG, "128", "most members of a set in the small encoding"),
    live("set-max-listpack-value", LONG, "64", "longest member of a set in the small encoding"),
    live("zset-max-listpack-entries", LONG, "128", "most members of a sorted set in the small encoding").alias(&["zset-max-ziplist-entries"]),
    live("zset-max-listpack-value", BYTES, "64", "longest member of a sorted set in the small encoding").alias(&["zset-max-ziplist-value"]),
    live("hll-sparse-max-bytes", BYTES, "3000", "most bytes of a HyperLogLog in the small encoding"),
    live("stream-node-max-bytes", BYTES, "4096", "most bytes of a stream node"),
    live("stream-node-max-entries", LONG, "100", "most entries of a stream node"),
    later("bf-error-rate", Kind::Float { min: 0.0, max: 1.0 }, "0.01", "error rate of a new Bloom filter"),
    later("bf-initial-size", int(1, i64::MAX), "100", "capacity of a new Bloom filter"),
    later("bf-expansion-factor", int(0, 32_768), "2", "growth of a full Bloom filter"),
    later("cf_bucket_size", int(1, 255), "2", "slots in a bucket of a new cuckoo filter"),
    later("cf_initial_size", int(2, i64::MAX), "1024", "capacity of a new cuckoo filter"),
    later("cf_max_iterations", int(1, 65_535), "20", "moves tried before a cuckoo filter grows"),
    later("cf_expansion_factor", int(0, 32_768), "1", "growth of a full cuckoo filter"),
    later("cf_max_expansions", int(1, 65_535), "32", "how often a cuckoo filter may grow"),
    later("keys_output_limit", LONG, "8192", "most keys that KEYS returns").fixed(),
    later("locale-collate", Kind::Text, "", "locale by which SORT ALPHA compares"),
    later("mget_dedup_keys", Kind::Bool, "no", "look a repeated key of MGET up once").fixed(),
    inert("get_zero_copy", Kind::Bool, "yes", "reply with large values without copying them").fixed(),
    inert("use_oah_set", Kind::Bool, "yes", "which of two tables holds large sets").fixed(),
    inert("huffman_table", Kind::Text, "", "tables that keys and strings are compressed with").fixed(),
    inert("experimental_flat_json", Kind::Bool, "no", "which of two layouts holds JSON").fixed(),
    inert("disable_json_defragmentation", Kind::Bool, "no", "leave JSON values where they are").fixed(),
    later("jsonpathv2", Kind::Bool, "yes", "which of two parsers reads JSON paths").fixed(),
    inert("hash-seed", Kind::Secret, "", "seed of the hash function; always random here").fixed(),
];

#[rustfmt::skip]
pub(super) const SCRIPTS: &[Setting] = &[
    live("busy-reply-threshold", MILLIS, "5000", "how long a script may run before others are told it is busy").alias(&["lua-time-limit"]),
    later("default_lua_flags", Kind::Text, "", "flags of every script, such as `allow-undeclared-keys`").fixed(),
    later("interpreter_per_thread", int(1, 65_536), "10", "Lua interpreters of a worker").fixed(),
    inert("lua_auto_async", Kind::Bool, "no", "do not wait for calls whose result is not used").fixed(),
    inert("lua_allow_undeclared_auto_correct", Kind::Bool, "no", "run a script again with undeclared keys allowed; they always are here").fixed(),
    inert("lua_undeclared_keys_shas", Kind::Text, "", "scripts that may use undeclared keys; all may here"),
    later("lua_float_as_int_shas", Kind::Text, "", "scripts whose floats become integers"),
    later("lua_resp2_legacy_float", Kind::Bool, "no", "turn floats of scripts into integers").fixed(),
    later("lua_enable_redis_log", Kind::Bool, "no", "let scripts write to the log").fixed(),
    inert("luagc", Kind::Text, "", "tuning of Lua's garbage collector").fixed(),
    inert("lua_mem_gc_threshold", ANY_BYTES, "10000000", "bytes after which Lua's garbage is collected").fixed(),
    inert("multi_exec_squash", Kind::Bool, "yes", "run commands of EXEC together").fixed(),
    inert("multi_eval_squash_buffer", LONG, "8096", "bytes of calls a script gathers").fixed(),
    inert("lock_on_hashtags", Kind::Bool, "no", "lock by hash tag").fixed(),
    inert("locktag_delimiter", Kind::Text, "", "sign around a hash tag").fixed(),
    inert("locktag_skip_n_end_delimiters", LONG, "0", "signs to skip before a hash tag ends").fixed(),
    inert("locktag_prefix", Kind::Text, "", "prefix of keys that have a hash tag").fixed(),
];

#[rustfmt::skip]
pub(super) const SEARCH: &[Setting] = &[
    later("search-on-timeout", Kind::Choice(&["return", "fail", "return_strict"]), "return", "what a search that takes too long answers"),
    later("MAXSEARCHRESULTS", LONG, "1000000", "most results of one search").alias(&["search-max-search-results"]),
    later("search_query_string_bytes", LONG, "10240", "longest query"),
    later("search_reject_legacy_field", Kind::Bool, "yes", "refuse outdated field options").fixed(),
    inert("use_numeric_range_tree", Kind::Bool, "yes", "which of two indexes holds numbers").fixed(),
    later("subset_knn_search_threshold", LONG, "8192", "documents left by a filter under which vectors are compared one by one").fixed(),
    later("serialize_hnsw_index", Kind::Bool, "no", "send vector graphs to replicas").fixed(),
    later("deserialize_hnsw_index", Kind::Bool, "no", "take vector graphs from a primary").fixed(),
];
