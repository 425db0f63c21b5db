// Which of the two published chat templates a model wants.
#pragma once

#include <cstdint>
#include <string_view>

namespace gemlet::chat {

/// The two templates. They differ only where the model is asked to answer without thinking: for the
/// larger sizes the prompt already holds an empty thought.
enum class TemplateKind : uint8_t { e2b, b31 };

/// The published sizes; `other` for everything else, also for a file with a vocabulary only.
enum class ModelSize : uint8_t { e2b, e4b, a4b_26b, dense_31b, other };

/// How the template that came with the model compares to the published ones.
enum class TemplateMatch : uint8_t {
    absent,  // there is none
    e2b,     // the published one, byte for byte (line ends and white space at the end aside)
    b31,
    unlike,  // older or foreign: the built-in renderer is used; worth one warning
};

struct TemplateChoice {
    TemplateKind kind = TemplateKind::e2b;
    TemplateMatch match = TemplateMatch::absent;
};

/// Chooses by size; for other sizes by the template's text (empty if there is none).
TemplateChoice template_kind_for(ModelSize size, std::string_view template_text);

/// Sets `kind` from its name, `e2b` or `31b`; returns false and leaves it if there is no such.
bool template_kind_named(std::string_view name, TemplateKind& kind);

/// Returns what the command line calls the kind.
std::string_view template_kind_name(TemplateKind kind);

}  // namespace gemlet::chat
