//! What the users of the REST interface asked for: a row for each kind of request.

use crate::run::Run;
use crate::text::requests::{HEAD, NOTE, TITLE, rows};
use maud::{Markup, html};

pub(super) fn requests(run: &Run) -> Markup {
    let rows = rows(&run.measured.requests);
    html! {
        @if !rows.is_empty() {
            section {
                h2 { (TITLE) }
                div.scroll { table.stacked {
                    thead { tr {
                        th { "request" }
                        @for name in HEAD { th.number { (name) } }
                    } }
                    tbody { @for (name, values) in &rows {
                        tr {
                            td { (name) }
                            @for (name, value) in HEAD.iter().zip(values) {
                                td.number data-label=(name) { (value) }
                            }
                        }
                    } }
                } }
                p.note { (NOTE) }
            }
        }
    }
}
