//! How data is treated that another server had before: taken over by an importing client, or
//! restored from what a server dumped.

/// See the module's page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// Whether data is being imported, and who it is that asks.
    pub import: Import,
    /// Whether dumps of newer versions are read as far as they are understood
    /// (`rdb-version-check`).
    pub any_version: bool,
    /// Whether the checksums of dumps are not looked at (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub unchecked: bool,
}

/// Whether data is being imported from another server, which decides what expires (`import-mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Import {
    /// It is not.
    #[default]
    Off,
    /// It is, and who asks is not the one that imports: what has expired is not there, but is
    /// left where it is.
    On,
    /// It is, by the one who asks (CLIENT IMPORT-SOURCE): nothing has expired.
    Source,
}
