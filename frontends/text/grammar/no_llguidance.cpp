// Stands in for the grammar engine where it is left out.
#include "frontends/text/grammar/grammar.h"

namespace gemlet {

struct GrammarVocabulary::Parts {};
GrammarVocabulary::GrammarVocabulary(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
GrammarVocabulary::~GrammarVocabulary() = default;

Result<std::shared_ptr<GrammarVocabulary>> GrammarVocabulary::create(
    const Vocabulary& /*vocabulary*/, size_t /*n_logits*/) {
    return Status(StatusCode::unsupported,
                  "this build has no structured output (built without llguidance)");
}

struct Grammar::Parts {};
Grammar::Grammar(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Grammar::~Grammar() = default;

Result<std::unique_ptr<Grammar>> Grammar::of_schema(
    std::shared_ptr<GrammarVocabulary> /*vocabulary*/, const Json& /*schema*/,
    std::string& /*fault*/) {
    return Status(StatusCode::unsupported, "this build has no structured output");
}

Result<std::unique_ptr<Grammar>> Grammar::of_rules(
    std::shared_ptr<GrammarVocabulary> /*vocabulary*/, const std::string& /*rules*/,
    std::string& /*fault*/) {
    return Status(StatusCode::unsupported, "this build has no structured output");
}
Result<std::unique_ptr<Grammar>> Grammar::copy() const {
    return Status(StatusCode::unsupported, "this build has no structured output");
}

bool Grammar::allowed(std::vector<uint32_t>& /*bits*/) { return false; }
void Grammar::take(int32_t /*id*/) {}
void Grammar::restart() {}

}  // namespace gemlet
