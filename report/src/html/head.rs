//! The head of the page: the verdict, what was asked, and how to reproduce it.

use crate::run::Run;
use crate::under_test::{Choice, choices, not_caught};
use crate::violations;
use maud::{Markup, html};
use verify::verdict::Verdict;

pub(super) fn head(run: &Run) -> Markup {
    html! {
        header {
            p.eyebrow {
                span { "Fracas" }
                span { (run.engine()) }
                span { "seed " (run.header.seed) }
            }
            h1 { (run.header.scenario) }
            div.verdict {
                (sign(run))
                div {
                    p.word { (run.outcome_word()) }
                    p.agreement { (run.agreement()) }
                }
                p.sentence { (run.verdict_sentence()) }
            }
            @if let Some((_, shown)) = violations::leading(run.judgement) {
                p.first { (violations::sentence(shown, &run.measured.faults)) }
            }
            @let under_test = choices(&run.scenario.design);
            @let prediction = run.prediction();
            @if prediction.is_some() || !under_test.is_empty() || !run.scenario.question.is_empty() || !run.scenario.lesson.is_empty() {
                dl.run {
                    @for choice in &under_test { dt { "Design" } dd { (design(choice, not_caught(run))) } }
                    @if let Some(prediction) = prediction {
                        dt { "Predicted" } dd { (prediction.told()) " " (prediction.because) }
                    }
                    @if !run.scenario.question.is_empty() {
                        dt { "Question" } dd { (run.scenario.question) }
                    }
                    @if !run.scenario.lesson.is_empty() {
                        dt { "Lesson" } dd { (run.scenario.lesson) }
                    }
                }
            }
            div.command {
                code { (run.reproduce) }
                button type="button" data-copy=(run.reproduce) { "Copy" }
            }
        }
    }
}

fn design(choice: &Choice, not_caught: &str) -> Markup {
    html! {
        code { (choice.key) " = " (choice.option) }
        @match choice.why {
            Some(why) => {
                ", where " code { (choice.sound) } " is sound" (not_caught) ". "
                // The documentation sets code in backticks: every second part is code.
                @for (number, part) in why.split('`').enumerate() {
                    @if number % 2 == 1 { code { (part) } } @else { (part) }
                }
            }
            None => { ", as sound as the default " code { (choice.sound) } "." }
        }
    }
}

/// A tick, a cross or a question mark: the verdict without words or colours.
fn sign(run: &Run) -> Markup {
    let verdict = if run.violates_as_wanted() { Verdict::Valid } else { run.judgement.verdict };
    html! {
        svg.sign viewBox="0 0 48 48" aria-hidden="true" {
            circle cx="24" cy="24" r="24" {}
            @match verdict {
                Verdict::Valid => path d="M13.5 25l7 7.5L34.5 17" {},
                Verdict::Violated => path d="M16 16l16 16M32 16L16 32" {},
                Verdict::Unknown => {
                    path d="M17.5 19a6.5 6.5 0 1 1 9.6 5.7c-2 1.1-3.1 2.3-3.1 4.6" {}
                    path d="M24 35.2v.3" {}
                },
            }
        }
    }
}
