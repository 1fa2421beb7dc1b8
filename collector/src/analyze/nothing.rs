//! The answer if nothing was recognised: the fact, the reasons, and what to do. Silence does not mean health.

use supwatch_model::event::{Event, EventKind};
use supwatch_model::text::Text;

use super::InputFile;
use supwatch_judgement::diagnosis::{Catalogue, Subject, UNKNOWN};

/// Nothing of a synchronisation was recognised in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nothing {
    /// Summary, in a sentence.
    pub summary: Text,
    /// Why, for each input.
    pub reasons: Vec<Text>,
    /// What to do, in order.
    pub remedies: Vec<Text>,
    /// A cause that the text on its own matches.
    pub cause: Option<String>,
}

/// Most reasons reported; a folder may have hundreds of files.
const REASONS: usize = 20;

/// Whether an event concerns a synchronisation: words common to many programs count only on a log's own line.
pub(super) fn is_relevant(event: &Event) -> bool {
    let common = matches!(event.kind, EventKind::Step { .. } | EventKind::Notice { .. } | EventKind::ComponentError { .. });
    !common || !event.component.is_empty()
}

/// Builds the answer. `text` is the input, if it is short enough to be a bare error message.
pub(super) fn recognised(input: &[InputFile], reasons: &[Text], text: &str, catalogue: &Catalogue) -> Nothing {
    let cause = Some(catalogue.cause_of(&Subject::of_paste(text)).id.clone()).filter(|id| !text.is_empty() && id != UNKNOWN);
    let of_file = |file: &InputFile| {
        let InputFile { path, lines, .. } = file;
        if file.recognised > 0 {
            return Text::new(
                format!("{path}: {lines} lines, all of other components or irrelevant"),
                format!("{path}: {lines} 行ありますが、同期に関する行はありません"),
            );
        }
        Text::new(
            format!("{path}: {lines} lines, none of which a software update point log would contain"),
            format!("{path}: {lines} 行ありますが、ソフトウェアの更新ポイントのログとして解釈できる行はありません"),
        )
    };
    let files = input.iter().filter(|file| file.lines > 0).map(of_file);
    let mut remedies = vec![Text::new(
        "Give wsyncmgr.log, WCM.log, WSUSCtrl.log, SUPSetup.log or SoftwareDistribution.log, or a folder with them; a copy of lines with their time and component is enough",
        "wsyncmgr.log、WCM.log、WSUSCtrl.log、SUPSetup.log、SoftwareDistribution.log、またはこれらのあるフォルダを指定してください。時刻とコンポーネントの付いた行のコピーでもかまいません",
    )];
    match &cause {
        Some(id) => remedies.insert(
            0,
            Text::new(
                format!("The text by itself points to {id}: run `supwatch explain {id}`"),
                format!("この文面は {id} を示しています。`supwatch explain {id}` を実行してください"),
            ),
        ),
        None => remedies.push(Text::new(
            "For an error message alone, run `supwatch explain` with its text or code",
            "エラー メッセージだけの場合は、その文面またはコードを `supwatch explain` に渡してください",
        )),
    }
    Nothing {
        summary: Text::new(
            "Nothing about software update synchronisation was recognised, so nothing can be said about its health",
            "ソフトウェアの更新の同期に関する情報を読み取れなかったため、状態は判定できません",
        ),
        reasons: reasons.iter().cloned().chain(files).take(REASONS).collect(),
        remedies,
        cause,
    }
}
