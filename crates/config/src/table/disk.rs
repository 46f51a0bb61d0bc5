//! Rows about snapshots, the append-only file and values on disk.

use crate::rules::{APPEND_DIR, APPEND_FILE, DB_FILE, DIR, SAVE};
use crate::setting::{
    ANY_BYTES, BYTES, COUNT, Kind, LONG, MILLIS, RATIO, Setting, inert, int, later, live,
};

#[rustfmt::skip]
pub(super) const PERSISTENCE: &[Setting] = &[
    live("dir", Kind::Custom(&DIR), "./", "working folder; snapshots and logs of changes go there").protected(),
    live("dbfilename", Kind::Custom(&DB_FILE), "dump.rdb", "name of the snapshot file").protected(),
    later("save", Kind::Custom(&SAVE), "3600 1 300 100 60 10000", "save a snapshot after so many seconds with so many changes").off(&[""]),
    later("snapshot_cron", Kind::Text, "", "cron line by which snapshots are saved"),
    later("save_schedule", Kind::Text, "", "time of day at which snapshots are saved; see `snapshot_cron`").fixed(),
    later("df_snapshot_format", Kind::Bool, "yes", "save one file a shard rather than one RDB file").fixed(),
    later("compression_mode", int(0, 3), "3", "snapshot compression: 0 none, 1 LZF, 2 zstd, 3 lz4").fixed(),
    later("compression_level", int(0, 22), "2", "level of snapshot compression").fixed(),
    later("rdbcompression", Kind::Bool, "yes", "compress strings in snapshots"),
    later("rdbchecksum", Kind::Bool, "yes", "checksum at the end of a snapshot").fixed(),
    later("rdb-del-sync-files", Kind::Bool, "no", "remove snapshots that were made for replicas"),
    later("rdb-save-incremental-fsync", Kind::Bool, "yes", "write snapshots to the disk bit by bit"),
    later("rdb-version-check", Kind::Choice(&["strict", "relaxed"]), "strict", "whether snapshots of newer versions are loaded"),
    later("sanitize-dump-payload", Kind::Choice(&["no", "yes", "clients"]), "no", "check payloads in depth when loading and on RESTORE"),
    later("stop-writes-on-bgsave-error", Kind::Bool, "yes", "refuse writes when the last snapshot failed"),
    later("rdb_load_dry_run", Kind::Bool, "no", "read a snapshot and keep nothing").fixed(),
    later("rdb_ignore_expiry", Kind::Bool, "no", "load keys that have expired").fixed(),
    later("rdb_sbf_chunked", Kind::Bool, "yes", "save large Bloom filters in parts").fixed(),
    later("serialization_max_chunk_size", BYTES, "65536", "bytes of a large value saved in one go; 0 saves it whole"),
    later("serialization_tagged_chunks", Kind::Bool, "yes", "mark the parts of a large value").fixed(),
    inert("background_snapshotting", Kind::Bool, "no", "save at low priority"),
    later("snapshot_egress_limit_bytes", ANY_BYTES, "0", "bytes a second a shard may write while saving; 0 is no limit"),
    later("appendonly", Kind::Bool, "no", "log every change to disk").off(&["no"]),
    later("appendfilename", Kind::Custom(&APPEND_FILE), "appendonly.aof", "name of the append-only file").fixed(),
    later("appenddirname", Kind::Custom(&APPEND_DIR), "appendonlydir", "folder of the append-only file").fixed(),
    later("appendfsync", Kind::Choice(&["everysec", "always", "no"]), "everysec", "when logged changes are forced to disk"),
    later("no-appendfsync-on-rewrite", Kind::Bool, "no", "force nothing to disk while the log is rewritten"),
    later("auto-aof-rewrite-percentage", COUNT, "100", "growth at which the log is rewritten, in percent; 0 never"),
    later("auto-aof-rewrite-min-size", BYTES, "67108864", "size under which the log is not rewritten"),
    later("aof-load-truncated", Kind::Bool, "yes", "load a log whose end is missing"),
    later("aof-use-rdb-preamble", Kind::Bool, "yes", "start a rewritten log with a snapshot"),
    later("aof-timestamp-enabled", Kind::Bool, "no", "put times into the log"),
    later("aof-rewrite-incremental-fsync", Kind::Bool, "yes", "write a rewritten log to the disk bit by bit"),
    later("s3_endpoint", Kind::Text, "", "address of an S3 service").fixed(),
    later("s3_use_https", Kind::Bool, "yes", "talk to S3 over TLS").fixed(),
    later("s3_ec2_metadata", Kind::Bool, "no", "take S3 credentials from the machine").fixed(),
    later("s3_sign_payload", Kind::Bool, "yes", "sign what is sent to S3").fixed(),
    inert("s3_use_helio_client", Kind::Bool, "yes", "which of two clients talks to S3").fixed(),
    later("gcs_auth_token", Kind::Secret, "", "token for Google Cloud Storage").fixed(),
    later("gcs_dry_upload", Kind::Bool, "no", "send nothing to Google Cloud Storage").fixed(),
];

#[rustfmt::skip]
pub(super) const TIERING: &[Setting] = &[
    later("tiered_prefix", Kind::Text, "", "path of the files that hold values on disk; none keeps all in memory").fixed(),
    later("tiered_max_file_size", ANY_BYTES, "0", "most bytes on disk; 0 chooses by what is free").fixed(),
    later("tiered_min_value_size", LONG, "64", "smallest value that goes to disk").fixed(),
    later("tiered_offload_threshold", RATIO, "0.5", "free share of memory under which values go to disk"),
    later("tiered_upload_threshold", RATIO, "0.1", "free share of memory under which values stay on disk"),
    later("tiered_experimental_cooling", Kind::Bool, "yes", "keep values that went to disk in memory for a while").fixed(),
    later("tiered_max_pending_stash_bytes", ANY_BYTES, "262144", "bytes on their way to disk before writers wait").fixed(),
    later("tiered_min_ttl_to_offload_ms", MILLIS, "5000", "values that expire sooner stay in memory").fixed(),
    later("tiered_experimental_hash_support", Kind::Bool, "no", "hashes go to disk too").fixed(),
    later("tiered_experimental_list_support", Kind::Bool, "no", "lists go to disk too").fixed(),
    later("backing_file_direct", Kind::Bool, "yes", "go past the page cache").fixed(),
    inert("registered_buffer_size", ANY_BYTES, "524288", "bytes of buffers known to io_uring").fixed(),
    later("tiering_disk_storage_initial_size", ANY_BYTES, "268435456", "bytes of the file to begin with").fixed(),
];
