// llguidance does the work: a lexer of derivatives of regular expressions under an Earley parser,
// walked along a trie of the vocabulary's bytes. Special tokens are marked with a byte that no text
// has, so that no grammar lets them in.
#include <llguidance.h>

#include "frontends/text/grammar/grammar.h"

namespace gemlet {
namespace {

struct FreeMatcher {
    void operator()(LlgMatcher* matcher) const { llg_free_matcher(matcher); }
};
struct FreeTokenizer {
    void operator()(LlgTokenizer* tokenizer) const { llg_free_tokenizer(tokenizer); }
};

constexpr char kSpecialMark = '\xFF';
constexpr size_t kErrorBytes = 256;

}  // namespace

struct GrammarVocabulary::Parts {
    std::unique_ptr<LlgTokenizer, FreeTokenizer> tokenizer;
    size_t n_logits = 0;
};

GrammarVocabulary::GrammarVocabulary(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
GrammarVocabulary::~GrammarVocabulary() = default;

Result<std::shared_ptr<GrammarVocabulary>> GrammarVocabulary::create(const Vocabulary& vocabulary,
                                                                     size_t n_logits) {
    std::vector<uint32_t> lengths;
    std::string bytes;
    for (size_t i = 0; i < n_logits; ++i) {
        const auto id = static_cast<int32_t>(i);
        const size_t before = bytes.size();
        // Ids without text would fit every grammar, and be drawn for ever.
        const bool is_empty = i >= vocabulary.size() || vocabulary.bytes(id).empty();
        if (is_empty || vocabulary.is_special(id) || vocabulary.is_stop(id)) {
            bytes += kSpecialMark;
            bytes += is_empty ? "[" + std::to_string(id) + "]" : std::string(vocabulary.piece(id));
        } else {
            bytes += vocabulary.bytes(id);
        }
        lengths.push_back(static_cast<uint32_t>(bytes.size() - before));
    }
    const auto stops = vocabulary.stop_ids();
    if (stops.empty()) return Status(StatusCode::corrupt, "the vocabulary has no stop token");
    const std::vector<LlgToken> more(stops.begin() + 1, stops.end());
    LlgTokenizerInitV2 init = {};
    init.struct_size = sizeof(init);
    init.vocab_size = static_cast<uint32_t>(n_logits);
    init.tok_eos = static_cast<LlgToken>(stops[0]);
    init.tok_eos_extra = more.data();
    init.tok_eos_extra_count = static_cast<uint32_t>(more.size());
    init.token_lens = lengths.data();
    init.token_bytes = reinterpret_cast<const uint8_t*>(bytes.data());
    // Only for text that a grammar forces, which is drawn token by token here all the same.
    init.use_approximate_greedy_tokenize_fn = true;
    std::string error(kErrorBytes, '\0');
    auto parts = std::make_unique<Parts>();
    parts->n_logits = n_logits;
    parts->tokenizer.reset(llg_new_tokenizer_v2(&init, error.data(), error.size()));
    if (parts->tokenizer == nullptr) {
        return Status(StatusCode::corrupt, "the vocabulary is of no use for grammars");
    }
    return std::shared_ptr<GrammarVocabulary>(new GrammarVocabulary(std::move(parts)));
}

struct Grammar::Parts {
    std::shared_ptr<GrammarVocabulary> vocabulary;
    std::unique_ptr<LlgMatcher, FreeMatcher> matcher;

    static Result<std::unique_ptr<Parts>> create(std::shared_ptr<GrammarVocabulary> vocabulary,
                                                 const char* kind, const std::string& text,
                                                 std::string& fault);
};

Result<std::unique_ptr<Grammar::Parts>> Grammar::Parts::create(
    std::shared_ptr<GrammarVocabulary> vocabulary, const char* kind, const std::string& text,
    std::string& fault) {
    LlgConstraintInit init = {};
    llg_constraint_init_set_defaults(&init, vocabulary->parts_->tokenizer.get());
    init.log_stderr_level = 0;
    init.limits.verbose_errors = false;
    auto parts = std::make_unique<Parts>();
    parts->matcher.reset(llg_new_matcher(&init, kind, text.c_str()));
    parts->vocabulary = std::move(vocabulary);
    if (llg_matcher_is_error(parts->matcher.get())) {
        fault = llg_matcher_get_error(parts->matcher.get());
        return Status(StatusCode::bad_argument, "the grammar cannot be kept");
    }
    return parts;
}

Grammar::Grammar(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Grammar::~Grammar() = default;

Result<std::unique_ptr<Grammar>> Grammar::of_schema(std::shared_ptr<GrammarVocabulary> vocabulary,
                                                    const Json& schema, std::string& fault) {
    if (!schema.is_object()) {
        fault = "a schema must be an object";
        return Status(StatusCode::bad_argument, "a schema must be an object");
    }
    // White space that a model could idle in is left out.
    Json style = Json::object();
    style.set("whitespace_flexible", Json::of_bool(false))
        .set("item_separator", Json::of(", ?"))
        .set("key_separator", Json::of(": ?"));
    Json styled = schema;
    styled.set("x-guidance", std::move(style));
    Result<std::unique_ptr<Parts>> parts =
        Parts::create(std::move(vocabulary), "json_schema", write_json(styled), fault);
    GEMLET_TRY(parts);
    return std::unique_ptr<Grammar>(new Grammar(std::move(*parts)));
}

Result<std::unique_ptr<Grammar>> Grammar::of_rules(std::shared_ptr<GrammarVocabulary> vocabulary,
                                                   const std::string& rules, std::string& fault) {
    Result<std::unique_ptr<Parts>> parts =
        Parts::create(std::move(vocabulary), "lark", rules, fault);
    GEMLET_TRY(parts);
    return std::unique_ptr<Grammar>(new Grammar(std::move(*parts)));
}

Result<std::unique_ptr<Grammar>> Grammar::copy() const {
    auto parts = std::make_unique<Parts>();
    parts->vocabulary = parts_->vocabulary;
    parts->matcher.reset(llg_clone_matcher(parts_->matcher.get()));
    std::unique_ptr<Grammar> grammar(new Grammar(std::move(parts)));
    grammar->restart();
    return grammar;
}

bool Grammar::allowed(std::vector<uint32_t>& bits) {
    LlgMatcher* matcher = parts_->matcher.get();
    const size_t n_words = (parts_->vocabulary->parts_->n_logits + 31) / 32;
    bits.assign(n_words, 0);
    if (llg_matcher_is_stopped(matcher)) return false;
    return llg_matcher_compute_mask_into(matcher, bits.data(), n_words * sizeof(uint32_t)) == 0;
}

void Grammar::take(int32_t id) {
    // A token that is not allowed leaves the matcher in its error state: then nothing more is.
    (void)!llg_matcher_consume_token(parts_->matcher.get(), static_cast<uint32_t>(id));
}

void Grammar::restart() {
    // One that went wrong stays so: nothing more is allowed then.
    (void)!llg_matcher_reset(parts_->matcher.get());
}

}  // namespace gemlet
