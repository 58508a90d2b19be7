//! `lintel report`: folders of the other verbs → one page.

use lintel_evaluation::report::page;
use lintel_work::failure::Failure;
use lintel_work::outdir::write_file;
use serde_json::json;

use crate::cli::ReportArgs;
use crate::commands::existing_folder;
use crate::commands::speaker::Console;

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; a page that was there before is then untouched.
pub fn run(args: &ReportArgs, console: &Console) -> Result<(), Failure> {
    for folder in &args.folders {
        existing_folder(folder)?;
    }
    if args.out.is_dir() {
        return Err(Failure::input(format!("--out {} is a folder; give a file's name", args.out.display())));
    }
    let page = page(&args.folders)?;
    write_file(&args.out, page.as_bytes())?;
    console.say(format!("wrote {}", args.out.display()));
    console.result(&json!({ "out": args.out, "bytes": page.len() }));
    Ok(())
}
