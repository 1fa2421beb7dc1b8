//! Why a run failed whose error only says that WSUS is not configured: the finding of a failing rule, in a few words.

use serde_json::Value;
use supwatch_model::finding::Evidence;
use supwatch_model::text::Text;

use super::{Failure, Rule};

/// The consequence of a failed rule for a run, to follow a colon.
pub(super) fn of(rule: &Rule, failure: &Failure) -> Text {
    let settings: Vec<(&str, &Value)> = failure
        .evidence
        .iter()
        .filter_map(|evidence| match evidence {
            Evidence::Setting { setting, value, .. } => Some((setting.as_str(), value)),
            Evidence::Line { .. } => None,
        })
        .collect();
    let said = |end: &str| settings.iter().any(|(path, _)| path.ends_with(end));
    match rule.name {
        "port-mismatch" if !said(".reach.outcome") => {
            let ports: Vec<&Value> = settings.iter().map(|(_, value)| *value).collect();
            let pairs = ports.chunks_exact(2).filter_map(|pair| pair.first().zip(pair.get(1)));
            let (en, ja): (Vec<String>, Vec<String>) =
                pairs.map(|(set, listens)| (format!("{set}, IIS {listens}"), format!("{set}、IIS は {listens}"))).unzip();
            Text::new(format!("the ports differ ({})", en.join("; ")), format!("ポートが一致していません ({})", ja.join("、")))
        }
        "port-mismatch" => Text::new(
            "nothing listens on the port of the SUP",
            "ソフトウェアの更新ポイントのポートで待ち受けているものがありません",
        ),
        "fqdn-mismatch" if said(".reach.outcome") => {
            Text::new("the SUP's name (FQDN) cannot be resolved", "ソフトウェアの更新ポイントの名前 (FQDN) を解決できません")
        }
        "fqdn-mismatch" => Text::new(
            "the SUP's name (FQDN) is not that of its WSUS server",
            "ソフトウェアの更新ポイントの名前 (FQDN) が WSUS サーバーの名前と異なります",
        ),
        "ssl-mismatch" if said("certificate.expires_at") => {
            Text::new("the certificate of the WSUS server has expired", "WSUS サーバーの証明書の有効期限が切れています")
        }
        "ssl-mismatch" if said("certificate.names") && !said(".ssl") => {
            Text::new("the certificate of the WSUS server is for another name", "WSUS サーバーの証明書の名前が一致しません")
        }
        "ssl-mismatch" => Text::new(
            "the SSL settings of the SUP and of IIS differ",
            "SSL の設定がソフトウェアの更新ポイントと IIS で一致していません",
        ),
        "child-replica" if settings.iter().any(|(_, value)| value.as_bool() == Some(true)) => {
            Text::new("its WSUS is configured as a replica", "WSUS がレプリカとして構成されています")
        }
        "service-stopped" => {
            let names: Vec<&str> = settings.iter().filter_map(|(path, _)| path.rsplit('.').next()).collect();
            let names = names.join(", ");
            Text::new(
                format!("a service of the WSUS server is not running ({names})"),
                format!("WSUS サーバーのサービスが実行されていません ({names})"),
            )
        }
        "wsus-console-missing" => Text::new(
            "the WSUS console is missing on the site server or differs from WSUS",
            "サイト サーバーの WSUS コンソールがないか、WSUS とバージョンが異なります",
        ),
        _ => failure.summary.clone(),
    }
}
