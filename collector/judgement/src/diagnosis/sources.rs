//! Sources of rules and entries in Japanese. Titles of documents are names and stay as they are.

/// Our own phrases in sources; a phrase precedes any shorter one that it contains.
const PHRASES: &[(&str, &str)] = &[
    ("Troubleshooting software update synchronization failures", "記事"),
    ("\"WSUS server not configured\" error", "「WSUS サーバーが構成されていません」エラー"),
    ("\"Unable to connect to the remote server\" error", "「リモート サーバーに接続できません」エラー"),
    ("\"The request failed with HTTP status 401: Unauthorized\" error", "「要求が失敗しました。HTTP ステータス 401:未承認」エラー"),
    ("\"The remote name could not be resolved\" error", "「リモート名を解決できませんでした」エラー"),
    (
        "\"DssAuthenticationError: WebException: The request failed\" error",
        "「要求が失敗しました。DssAuthenticationError:WebException」エラー",
    ),
    ("Synchronization fails for unknown reasons", "「不明な理由で同期が失敗する」"),
    ("\"WSUS server not configured\"", "「WSUS サーバーが構成されていません」"),
    ("\"unable to connect to the remote server\"", "「リモート サーバーに接続できません」"),
    ("\"the request failed with HTTP status 401: Unauthorized\"", "「要求が失敗しました。HTTP ステータス 401:未承認」"),
    ("\"the remote name could not be resolved\"", "「リモート名を解決できませんでした」"),
    ("\"DssAuthenticationError: WebException\"", "「DssAuthenticationError:WebException」"),
    ("\"unexpected software updates are synchronized\"", "「予期しないソフトウェアの更新が同期される」"),
    ("\"error 12 and invalid schema in wsyncmgr.log\"", "「エラー 12 と「無効なスキーマ」」"),
    ("\"synchronization fails for unknown reasons\"", "「不明な理由で同期が失敗する」"),
    (
        "\"software update metadata is not displayed in the console\"",
        "「ソフトウェアの更新のメタデータがコンソールに表示されない」",
    ),
    (
        "\"software updates are not synchronized in the configured languages\"",
        "「ソフトウェアの更新が、構成されている言語で同期されない」",
    ),
    ("\"Run Synchronization is not available in the console\"", "「[同期の実行]操作をコンソールで実行できない」"),
    ("\"Run Synchronization is not available\"", "「[同期の実行]操作をコンソールで実行できない」"),
    ("\"WSUS synchronization is in progress and times out\"", "「WSUS 同期が実行中で、同期がタイムアウトする」"),
    ("\"checking for errors\" and each of its error sections", "「エラーのチェック」と各エラーの項"),
    ("\"checking for errors\"", "「エラーのチェック」"),
    ("unexpected software updates are synchronised", "「予期しないソフトウェアの更新が同期される」"),
    ("the Run Synchronization action is not available", "「[同期の実行]操作をコンソールで実行できない」"),
    (
        "software updates are not synchronised in the configured languages",
        "「ソフトウェアの更新が、構成されている言語で同期されない」",
    ),
    ("software update metadata is not displayed", "「ソフトウェアの更新のメタデータがコンソールに表示されない」"),
    ("section on error 12 and \"invalid schema\" in wsyncmgr.log", "「エラー 12 と「無効なスキーマ」が記録される」"),
    ("section on a synchronisation of WSUS that is running", "「WSUS 同期が実行中で、同期がタイムアウトする」"),
    ("failures for unknown reasons", "「不明な理由で同期が失敗する」"),
    (" (network trouble as with any other)", " (他のネットワークの問題と同様)"),
    (" (a child starts on its parent's request alone)", " (子サイトは親サイトの要求でのみ開始)"),
    ("general tips", "一般的なヒント"),
    ("the article, ", "記事: "),
    ("The article, ", "記事: "),
    ("the article", "記事"),
    ("supwatch's own", "supwatch 独自"),
    ("documentation: ", "ドキュメント: "),
    ("software updates maintenance", "ソフトウェアの更新のメンテナンス"),
    ("track software update synchronization", "ソフトウェアの更新の同期の追跡"),
    ("monitor software updates", "ソフトウェアの更新の監視"),
    ("plan for software update points", "ソフトウェアの更新ポイントの計画"),
    ("plan for software updates", "ソフトウェアの更新の計画"),
    ("configure a software update point to use TLS/SSL", "TLS/SSL を使用するためのソフトウェアの更新ポイントの構成"),
    ("synchronization schedule", "同期スケジュール"),
    ("design a hierarchy of sites", "サイトの階層の設計"),
    ("WSUS API, enumeration ", "WSUS API の列挙体 "),
    ("Status messages ", "ステータス メッセージ "),
    ("Status message ", "ステータス メッセージ "),
    ("status message ", "ステータス メッセージ "),
    ("messages ", "メッセージ "),
    ("message ", "メッセージ "),
    (", site database phase", "、サイト データベースの段階"),
    (": lines of the site server's SQL connection", ": サイト サーバーの SQL 接続の行"),
    (" with third-party updates", " (サードパーティの更新)"),
    ("third-party software updates", "サードパーティの更新"),
    ("Third-party software updates", "サードパーティの更新"),
    ("Patch catalogues of third parties", "サードパーティの更新カタログ"),
    (
        "reports of installations against the SUSDB of another server (2026 and before)",
        "別のサーバーの SUSDB に対するインストールの報告 (2026 年まで)",
    ),
    ("reports of new installations of 2026", "2026 年の新規インストールの報告"),
    ("reports of wsusutil postinstall", "`wsusutil postinstall` の報告"),
    ("German wording from a report of 2016", "ドイツ語の文言は 2016 年の報告"),
    ("the other languages from memory", "他の言語は記憶による"),
    ("manual steps to complete the installation", "インストールを完了する手動の手順"),
    ("the words of the lines from a report of 2016", "行の文言は 2016 年の報告"),
    ("plain HTTP to the SSL port of WSUS", "WSUS の SSL ポートへの HTTP 接続"),
    ("publishing with time stamps behind a proxy", "プロキシ経由のタイムスタンプ付き発行"),
    ("verification of file signature failed", "ファイルの署名の検証の失敗"),
    ("too many locally published categories", "ローカルのカテゴリの数"),
    ("Patch My PC knowledge base", "Patch My PC のサポート情報"),
    ("WSUS publish error ", "WSUS の発行エラー "),
    ("WSUS maintenance guide", "WSUS のメンテナンス ガイド"),
    ("SQL Server client time-outs", "SQL Server クライアントのタイムアウト"),
    ("SQL Server errors ", "SQL Server のエラー "),
    ("SQL Server error ", "SQL Server のエラー "),
    ("BITS error ", "BITS のエラー "),
    ("SUSDB error ", "SUSDB のエラー "),
    ("WSUS events", "WSUS のイベント"),
    ("WSUS event ", "WSUS のイベント "),
    (", events ", " のイベント "),
    (", issue ", " の問題 "),
    (", error ", " のエラー "),
    ("Microsoft: Resolve Windows upgrade errors, ", "Microsoft: Resolve Windows upgrade errors、"),
    ("」 and 「", "」と「"),
    (" and 「", "と「"),
    (" and KB ", "、KB "),
    (" and ", "、"),
];

/// A source in Japanese.
pub fn japanese(source: &str) -> String {
    // Titles contain words like "and"; they are recognised by a leading capitalised verb.
    let part = |part: &str| {
        let title =
            ["Troubleshoot ", "Track ", "Include ", "Enable ", "Plan ", "WSUS Configuration Manager configures", "Software update"];
        if title.iter().any(|title| part.trim_start().starts_with(title)) && !part.contains("failures") {
            return part.to_owned();
        }
        PHRASES.iter().fold(part.to_owned(), |text, (en, ja)| text.replace(en, ja))
    };
    source.split(';').map(part).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::super::Catalogue;
    use super::*;

    #[test]
    fn nothing_but_names_stays_english() {
        let sources = Catalogue::built_in().causes().map(|cause| cause.source.as_str());
        for source in sources.chain(crate::rules::RULES.iter().map(|rule| rule.source)) {
            let said = japanese(source);
            for word in
                ["article", "documentation", "tatus message", "supwatch's", "events", "memory", "report", "enumeration", " and \""]
            {
                assert!(!said.contains(word), "{source} is {said}");
            }
        }
        assert_eq!(
            japanese("the article, general tips and \"WSUS server not configured\""),
            "記事: 一般的なヒントと「WSUS サーバーが構成されていません」"
        );
    }
}
