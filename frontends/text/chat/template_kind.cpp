// The published templates are known by a hash of their text, so that the text itself need not be
// part of this library.
#include "frontends/text/chat/template_kind.h"

namespace gemlet::chat {
namespace {

// FNV-1a over the text with \r\n as \n and without white space at the end.
constexpr uint64_t kE2bHash = 0xB5A7C4713578081CULL;
constexpr uint64_t kB31Hash = 0x49328C5F218B677FULL;

uint64_t template_hash(std::string_view text) {
    while (!text.empty() &&
           std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos) {
        text.remove_suffix(1);
    }
    uint64_t hash = 0xCBF29CE484222325ULL;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
        hash = (hash ^ static_cast<uint8_t>(text[i])) * 0x100000001B3ULL;
    }
    return hash;
}

TemplateMatch match_of(std::string_view text) {
    if (text.empty()) return TemplateMatch::absent;
    const uint64_t hash = template_hash(text);
    if (hash == kE2bHash) return TemplateMatch::e2b;
    if (hash == kB31Hash) return TemplateMatch::b31;
    return TemplateMatch::unlike;
}

// Does the template end a prompt for generation with an empty thought? In template source the line
// end inside it stands as backslash and n.
bool writes_empty_thought(std::string_view text) {
    const size_t block = text.rfind("add_generation_prompt");
    if (block == std::string_view::npos) return false;
    text.remove_prefix(block);
    return text.find("<|channel>thought\\n<channel|>") != std::string_view::npos ||
           text.find("<|channel>thought\n<channel|>") != std::string_view::npos;
}

}  // namespace

TemplateChoice template_kind_for(ModelSize size, std::string_view template_text) {
    TemplateChoice choice;
    choice.match = match_of(template_text);
    switch (size) {
        case ModelSize::e2b:
        case ModelSize::e4b:
            choice.kind = TemplateKind::e2b;
            break;
        case ModelSize::a4b_26b:
        case ModelSize::dense_31b:
            choice.kind = TemplateKind::b31;
            break;
        case ModelSize::other:
            choice.kind =
                writes_empty_thought(template_text) ? TemplateKind::b31 : TemplateKind::e2b;
            break;
    }
    return choice;
}

bool template_kind_named(std::string_view name, TemplateKind& kind) {
    if (name != "e2b" && name != "31b") return false;
    kind = name == "e2b" ? TemplateKind::e2b : TemplateKind::b31;
    return true;
}

std::string_view template_kind_name(TemplateKind kind) {
    return kind == TemplateKind::e2b ? "e2b" : "31b";
}

}  // namespace gemlet::chat
