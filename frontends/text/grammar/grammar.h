// Which tokens may come next when an answer must have a certain form.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/status.h"
#include "frontends/text/tokenizer/vocabulary.h"

namespace gemlet {

/// A vocabulary prepared for grammars: takes a moment to make, is shared by all of them.
class GrammarVocabulary {
  public:
    /// `n_logits` is the model's vocabulary, at least as large as this one.
    /// Errors: `unsupported` where the grammar engine was left out; `corrupt`.
    static Result<std::shared_ptr<GrammarVocabulary>> create(const Vocabulary& vocabulary,
                                                             size_t n_logits);
    ~GrammarVocabulary();
    GrammarVocabulary(const GrammarVocabulary&) = delete;
    GrammarVocabulary& operator=(const GrammarVocabulary&) = delete;

  private:
    friend class Grammar;
    struct Parts;
    explicit GrammarVocabulary(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// One answer's way through a grammar. One thread.
class Grammar {
  public:
    /// JSON that satisfies a schema (an object). At most one blank follows a colon or a comma.
    /// Errors: `bad_argument` for a schema that is none or has keywords that cannot be kept;
    /// `fault` receives what is wrong with it.
    static Result<std::unique_ptr<Grammar>> of_schema(std::shared_ptr<GrammarVocabulary> vocabulary,
                                                      const Json& schema, std::string& fault);
    /// What rules in llguidance's form of Lark describe: see call_grammar.
    /// Errors: `bad_argument` for rules that are none or too large; `fault` says why.
    static Result<std::unique_ptr<Grammar>> of_rules(std::shared_ptr<GrammarVocabulary> vocabulary,
                                                     const std::string& rules, std::string& fault);
    /// The same grammar at its beginning, wherever this one is.
    Result<std::unique_ptr<Grammar>> copy() const;
    ~Grammar();
    Grammar(const Grammar&) = delete;
    Grammar& operator=(const Grammar&) = delete;

    /// Fills a bit per id (LSB first) of those that may come next; stop tokens are among them when
    /// the text is complete, and nothing else when it must end. False: nothing may.
    bool allowed(std::vector<uint32_t>& bits);
    /// Takes the next token, which is no stop token.
    void take(int32_t id);
    /// Goes back to the beginning.
    void restart();

  private:
    struct Parts;
    explicit Grammar(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace gemlet
