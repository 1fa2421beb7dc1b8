//! Reads each site's files with the agent's library, and applies their events in time order.

use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use supwatch_model::event::{Event, StoredEvent};
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_model::text::Text;
use supwatch_reading::reader::{Counters, Reader, Reading, Resume};
use supwatch_reading::{paste, settings, site_folder};

use super::merge::{by_time, fill, is_beginning_of, reported_site, single, stem};
use super::{AnalyzeError, InputFile, STANDARD_INPUT, SiteInput, discover, nothing};
use supwatch_judgement::hierarchy::Hierarchy;

/// Events and files read so far.
pub(super) struct Work {
    pub hierarchy: Hierarchy,
    pub input: Vec<InputFile>,
    pub remarks: Vec<String>,
    pub newest: Newest,
    /// Number of snapshots and relevant events.
    pub relevant: usize,
    /// Why files yielded nothing.
    pub reasons: Vec<Text>,
    /// The beginning of the first file, which may be a bare error message.
    pub text: String,
    pub names: discover::Names,
}

/// The newest time in the input. A local time without a zone may be hours off, so it counts only if there is no better one.
#[derive(Debug, Default)]
pub(super) struct Newest {
    sure: Option<Timestamp>,
    any: Option<Timestamp>,
}

impl Newest {
    pub fn of_all(&self) -> Option<Timestamp> {
        self.sure.or(self.any)
    }
}

/// Bytes of a log examined before it is read.
const LOOK_AHEAD: usize = 1 << 20;
/// Bytes examined to tell whether a file is a paste.
const PASTE_HEAD: usize = 256 * 1024;
/// Longest text that may be a bare error message.
const MESSAGE: usize = 16 * 1024;

impl Work {
    pub fn read_site(&mut self, site: &SiteInput) -> Result<(), AnalyzeError> {
        // Two folders with one site code count as two claims, like two agents.
        let agent = AgentId(site.file.as_ref().map_or_else(|| "offline".to_owned(), |(_, path)| self.names.shown(path)));
        let code = site.file.as_ref().map_or(SiteCode::UNKNOWN, |(file, _)| file.code);
        let reading = match &site.file {
            Some((file, path)) => site_folder::reading(file, path)?,
            None => Reading::default(),
        };
        let mut logs: Vec<(String, Vec<Event>, Resume)> = Vec::new();
        for (place, path) in site.logs.iter().enumerate() {
            // The log was just rolled over and has not started again: the sibling is the beginning of the log, and is read with
            // it.
            if let Some(log) = site.logs.iter().skip(place + 1).find(|log| is_beginning_of(path, log)) {
                self.remarks.push(format!("{}: is the beginning of {}, read once", self.names.shown(path), self.names.shown(log)));
                continue;
            }
            let older = logs.last().filter(|(name, ..)| *name == stem(path)).map(|(_, _, resume)| Resume {
                offset: 0,
                framing: None,
                ..resume.clone()
            });
            if let Some((events, resume)) = self.read_log(path, code, &reading, &older.unwrap_or_default())? {
                logs.push((stem(path), events, resume));
            }
        }
        let codes: Vec<Option<SiteCode>> = logs.iter().map(|(_, events, _)| reported_site(events)).collect();
        let only = single(codes.iter().flatten());
        let of_site = if code == SiteCode::UNKNOWN { only.unwrap_or(code) } else { code };
        if let Some((file, _)) = &site.file {
            self.fold(site_folder::described(file), &agent);
        }
        for path in &site.snapshots {
            // An unusable snapshot is skipped with a remark.
            let mut event = match settings::read_file(std::fs::read(path), path, code) {
                Ok((event, remarks)) => {
                    self.remarks.extend(remarks);
                    event
                }
                Err(error) => {
                    let shown = self.names.shown(path);
                    let text = error.to_string().replace(&path.display().to_string(), &shown);
                    self.remarks.push(format!("{text}; its settings count as unknown"));
                    self.relevant += 1;
                    self.fold(site_folder::unusable(of_site, site_folder::file_name(path), text), &agent);
                    continue;
                }
            };
            event.site = of_site;
            self.newest.sure = self.newest.sure.max(event.time);
            self.relevant += 1;
            self.fold(event, &agent);
        }
        for ((_, events, _), own) in logs.iter_mut().zip(codes) {
            let site = if code == SiteCode::UNKNOWN { own.or(only).unwrap_or(code) } else { code };
            events.iter_mut().for_each(|event| event.site = site);
        }
        for event in by_time(logs.into_iter().map(|(stem, events, _)| (stem, events)).collect()) {
            self.fold(event, &agent);
        }
        Ok(())
    }

    fn fold(&mut self, event: Event, agent: &AgentId) {
        let received_at = event.time.unwrap_or(Timestamp::UNIX_EPOCH);
        let stored = StoredEvent { agent: agent.clone(), epoch: Epoch([0; 16]), received_at, event };
        self.hierarchy.fold(&stored);
    }

    /// Reads a log; one that continues an older generation keeps its reader's state. `None` if the file is not a log.
    fn read_log(
        &mut self,
        path: &Path,
        site: SiteCode,
        reading: &Reading,
        older: &Resume,
    ) -> Result<Option<(Vec<Event>, Resume)>, AnalyzeError> {
        let shown = self.names.shown(path);
        let unreadable = |source| AnalyzeError::Read { path: PathBuf::from(&shown), source };
        let mut file = open(path).map_err(unreadable)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (buffer, read, is_paste) = beginning(&mut file, &name, reading).map_err(unreadable)?;
        let head = buffer.get(..read).unwrap_or_default();
        if self.text.is_empty() && read <= MESSAGE {
            self.text = String::from_utf8_lossy(head).into_owned();
        }
        let pasted = Some(head).filter(|_| is_paste).and_then(|bytes| paste::plain(bytes, &name, reading));
        let mut reader = Reader::new(site, &name, reading, older);
        let mut events = Vec::new();
        let (size, binary) = if let Some(plain) = &pasted {
            reader.look_ahead(plain.text.as_bytes());
            reader.feed(plain.text.as_bytes(), &mut events);
            (read, 0)
        } else {
            feed(&mut reader, &mut file, buffer, read, &mut events).map_err(unreadable)?
        };
        reader.finish(&mut events);
        if binary * 20 > size {
            self.useless(&shown, ("this is a binary file, not a log", "ログではなくバイナリ ファイルです"));
            return Ok(None);
        }
        let counters = reader.counters();
        self.newest.sure = self.newest.sure.max(counters.newest_sure);
        self.newest.any = self.newest.any.max(counters.newest);
        self.remark_on(&shown, size, counters);
        if let Some(plain) = &pasted {
            for event in &mut events {
                event.offset = plain.place(event.offset);
            }
            self.remarks.push(format!("{shown}: read as pasted text, without {}", plain.taken_off.join(", ")));
        }
        self.relevant += events.iter().filter(|event| nothing::is_relevant(event)).count();
        let form = counters.forms().max_by_key(|(_, count)| *count).map_or("none", |(form, _)| form.as_str());
        self.input.push(InputFile {
            path: shown,
            form: form.to_owned(),
            encoding: pasted.as_ref().map_or_else(|| reader.encoding_name(), |plain| plain.encoding).to_owned(),
            lines: counters.lines,
            recognised: counters.recognised,
            unrecognised: counters.lines - counters.recognised,
            typed: counters.typed,
            mended: counters.mended,
            joined: reader.joined(),
            taken_off: pasted.map(|plain| plain.taken_off).unwrap_or_default(),
        });
        Ok(Some((events, reader.resume())))
    }

    /// Remarks on a log with nothing to read or to use.
    fn remark_on(&mut self, shown: &str, size: usize, counters: &Counters) {
        if size == 0 {
            self.useless(shown, ("empty: there is nothing in it to read", "空のファイルで、読み取る内容がありません"));
        } else if counters.lines == 0 {
            self.useless(shown, ("no line of text in it", "テキスト行がありません"));
        } else if counters.typed == 0 {
            let text = "none of its lines concerns software update synchronisation";
            self.remarks.push(format!("{shown}: {text}"));
        }
    }

    /// Records why a file yielded no events.
    fn useless(&mut self, shown: &str, (en, ja): (&str, &str)) {
        self.remarks.push(format!("{shown}: {en}"));
        self.reasons.push(Text::new(format!("{shown}: {en}"), format!("{shown}: {ja}")));
    }
}

/// A file, or standard input.
fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    if path == Path::new(STANDARD_INPUT) {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    Ok(Box::new(std::fs::File::open(path)?))
}

/// A buffer with the beginning of a file, the number of bytes read into it, and whether the file is a paste: one is short enough
/// to be read whole.
fn beginning(file: &mut impl Read, name: &str, reading: &Reading) -> std::io::Result<(Vec<u8>, usize, bool)> {
    let mut buffer = vec![0u8; LOOK_AHEAD];
    let mut read = fill(file, &mut buffer)?;
    let head = buffer.get(..read.min(PASTE_HEAD)).unwrap_or_default();
    let is_paste = paste::plain(head, name, reading).is_some();
    if is_paste {
        buffer.truncate(read);
        file.by_ref().take(paste::LONGEST as u64).read_to_end(&mut buffer)?;
        read = buffer.len();
    }
    Ok((buffer, read, is_paste))
}

/// Feeds a file to its reader; the buffer holds its beginning. Returns its size, and the number of control bytes, which text lacks.
fn feed(
    reader: &mut Reader,
    file: &mut impl Read,
    mut buffer: Vec<u8>,
    mut read: usize,
    events: &mut Vec<Event>,
) -> std::io::Result<(usize, usize)> {
    let (mut size, mut binary) = (0usize, 0usize);
    while let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) {
        if size == 0 {
            reader.look_ahead(bytes);
        }
        size += read;
        binary += bytes.iter().filter(|byte| matches!(**byte, 1..=8 | 14..=31)).count();
        reader.feed(bytes, events);
        read = fill(file, &mut buffer)?;
    }
    Ok((size, binary))
}
