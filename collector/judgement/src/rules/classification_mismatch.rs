//! A child's first SUP is set to the classifications its parent provides. Replicas are skipped.
//! Source: the article, "unexpected software updates are synchronized"; documentation: classifications are set at the top site only.

use super::filters::{Filter, compare};
use super::{Rule, Scene};
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "classification-mismatch",
    severity: Severity::Warning,
    title: ("classifications match along the hierarchy", "分類が階層に沿って一致している"),
    why: (
        "Classifications are set at the top site and reach every site from there; a difference means that a WSUS server was edited by hand, and unexpected updates come in or expected ones do not.",
        "分類は最上位サイトで設定され、そこから各サイトに反映されます。差異がある場合は WSUS が直接編集されており、予期しない更新が同期されるか、必要な更新が同期されません。",
    ),
    looks_at: &["wsus[first].classifications"],
    fix: &[
        (
            "Set classifications only at the top site: Software Update Point Component Properties > Classifications.",
            "分類は最上位サイトの[ソフトウェアの更新ポイント コンポーネントのプロパティ]>[分類]でのみ設定してください。",
        ),
        (
            "Do not edit them in a WSUS console; WSUS Configuration Manager applies the component's within 60 minutes.",
            "WSUS コンソールでは編集しないでください。WSUS Configuration Manager が 60 分以内にコンポーネントの設定を反映します。",
        ),
    ],
    source: "the article, \"unexpected software updates are synchronized\"",
    watcher: false,
    judge: |scene: &Scene<'_>| {
        compare(
            scene,
            &Filter {
                rule: RULE.name,
                path: "wsus[first].classifications",
                name: ("classifications", "分類"),
                read: |wsus| wsus.classifications.value().map(Vec::as_slice),
            },
        )
    },
};

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    fn world(own: Value, replica: bool) -> World {
        let mut above = healthy("cen", None);
        above["wsus"][0]["classifications"] = json!(["Security Updates"]);
        let mut settings = healthy("p01", Some("cen"));
        settings["wsus"][0]["classifications"] = own;
        settings["wsus"][0]["is_replica"] = json!(replica);
        World::new().central("CEN").primary("P01", "CEN").settings("CEN", above).settings("P01", settings)
    }

    #[test]
    fn order_and_case_do_not_matter_and_a_difference_fails() {
        world(json!(["Security Updates".to_uppercase()]), false).check("classification-mismatch", "P01 pass");
        world(json!(["Security Updates", "Updates"]), false).check("classification-mismatch", "P01 fail");
        world(json!([]), false).check("classification-mismatch", "P01 fail");
        world(json!([]), true).check("classification-mismatch", "");
        World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .settings("P01", healthy("p01", Some("cen")))
            .check("classification-mismatch", "P01 unknown");
    }
}
