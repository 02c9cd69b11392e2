//! Where the lines go, and the note of how far they have come.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Stdout, Write};
use std::path::{Path, PathBuf};

use keyward_admin::AuditCursor;
use serde_json::{Value, json};

/// A file or stdout, and beside it the cursor file if there is to be one.
pub(crate) struct Sink {
    output: Output,
    cursor_file: Option<PathBuf>,
}

enum Output {
    File(BufWriter<File>),
    Stdout(BufWriter<Stdout>),
}

impl Sink {
    /// Opens the output where the last run has left it, and tells its cursor.
    pub(crate) fn open(
        output: Option<&Path>,
        cursor_file: Option<&Path>,
    ) -> Result<(Self, Option<AuditCursor>), String> {
        let note = cursor_file.map(read_note).transpose()?.flatten();
        let output = match output {
            None => Output::Stdout(BufWriter::new(io::stdout())),
            Some(path) => {
                let written = note.as_ref().and_then(|note| note.written);
                let file = open(path, written).map_err(|e| format!("{}: {e}", path.display()))?;
                Output::File(BufWriter::new(file))
            }
        };
        let cursor_file = cursor_file.map(Path::to_owned);
        Ok((Self { output, cursor_file }, note.map(|note| note.cursor)))
    }

    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        let output: &mut dyn Write = match &mut self.output {
            Output::File(file) => file,
            Output::Stdout(stdout) => stdout,
        };
        output.write_all(line.as_bytes())?;
        output.write_all(b"\n")
    }

    /// Notes that everything before this cursor is safe, when it is.
    pub(crate) fn note(&mut self, cursor: &AuditCursor) -> io::Result<()> {
        let written = match &mut self.output {
            Output::File(file) => {
                file.flush()?;
                file.get_ref().sync_data()?;
                Some(file.stream_position()?)
            }
            Output::Stdout(stdout) => {
                stdout.flush()?;
                None
            }
        };
        match &self.cursor_file {
            Some(path) => replace(path, &json!({ "cursor": cursor, "written": written })),
            None => Ok(()),
        }
    }
}

/// What a run left: the cursor, and how long its output was then.
struct Note {
    cursor: AuditCursor,
    written: Option<u64>,
}

fn read_note(path: &Path) -> Result<Option<Note>, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("{}: {e}", path.display())),
    };
    let read = || {
        let mut note: Value = serde_json::from_str(&text).ok()?;
        let written = note["written"].as_u64();
        let cursor = serde_json::from_value(note["cursor"].take()).ok()?;
        Some(Note { cursor, written })
    };
    // To begin anew without a word would be to export everything twice.
    let broken = || format!("{}: not a cursor; mend it or take it away", path.display());
    read().map(Some).ok_or_else(broken)
}

/// Opens a file to write behind what the last run noted as written; what is behind that is cut off.
fn open(path: &Path, written: Option<u64>) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
    let length = file.metadata()?.len();
    if let Some(written) = written {
        if length < written {
            let what =
                "it is shorter than the cursor file says; take the cursor file away to begin anew";
            return Err(io::Error::other(what));
        }
        file.set_len(written)?;
    }
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

/// Writes a file so that at every moment there is the old one or the new one, and it is whole.
fn replace(path: &Path, json: &Value) -> io::Result<()> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(json.to_string().as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|e| e.error)?;
    Ok(())
}
