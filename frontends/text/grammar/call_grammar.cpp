// One rule a function behind the word "call:"; the rest is schemas.
#include "frontends/text/grammar/call_grammar.h"

#include "frontends/text/chat/specials.h"
#include "frontends/text/grammar/schema_rules.h"

namespace gemlet {

Result<std::string> call_grammar(const Json& tools, std::string_view only, std::string& fault) {
    SchemaRules rules;
    std::string calls;
    const Json free = Json::object();
    for (const Json& tool : tools.items) {
        const Json* function = tool.find("function");
        const Json* name = function == nullptr ? nullptr : function->find("name");
        if (name == nullptr || (!only.empty() && name->text != only)) continue;
        const Json* strict = function->find("strict");
        const Json* parameters = function->find("parameters");
        if (parameters == nullptr || !parameters->is_object()) parameters = &free;
        rules.begin(*parameters, strict != nullptr && strict->is_bool() && strict->boolean);
        const std::string arguments = rules.arguments(*parameters);
        if (!rules.fault().empty()) {
            fault = "function " + name->text + ": " + rules.fault();
            return Status(StatusCode::bad_argument, "the schema of arguments cannot be kept");
        }
        if (!calls.empty()) calls += " | ";
        calls += grammar_literal(name->text) + " " + arguments;
    }
    if (calls.empty()) {
        fault = "there is no such function";
        return Status(StatusCode::bad_argument, "there is no such function");
    }
    return "start: \"call:\" call <[" + std::to_string(chat::kToolCallCloseId) +
           "]>\ncall: " + calls + "\n" + rules.text();
}

}  // namespace gemlet
