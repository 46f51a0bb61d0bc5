//! Servers side by side.
use crate::stop::Stop;
use std::path::PathBuf;
use std::process::ExitCode;
/// The flags of a comparison.
#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// out
    #[arg(long)]
    pub(crate) out: PathBuf,
}
pub(crate) fn run(_args: &CompareArgs, _stop: &Stop) -> Result<ExitCode, String> {
    Err("".into())
}
