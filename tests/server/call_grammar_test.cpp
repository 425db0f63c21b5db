// Grammars of calls against calls: what fits a schema passes token by token, what does not is
// stopped before its end.
#include "frontends/text/grammar/call_grammar.h"

#include "tests/server/server_model.h"

namespace gemlet::server::test {
namespace {

Json functions_of(const std::string& parameters, bool strict) {
    const Result<Json> tools =
        parse_json(R"([{"type":"function","function":{"name":"f","strict":)" +
                   std::string(strict ? "true" : "false") + R"(,"parameters":)" + parameters +
                   R"(}},{"type":"function","function":{"name":"get.it"}}])");
    EXPECT_TRUE(tools.has_value()) << parameters;
    return tools ? *tools : Json();
}

std::string fault_of(const std::string& parameters, bool strict = true) {
    std::string fault;
    const Result<std::string> rules = call_grammar(functions_of(parameters, strict), "", fault);
    EXPECT_EQ(rules.has_value(), fault.empty());
    return fault;
}

TEST(CallGrammar, refuses_what_a_strict_schema_cannot_keep_and_lets_it_be_elsewhere) {
    const std::pair<std::string, std::string> cases[] = {
        {R"({"type":"object","properties":{"a":{"type":"string","if":{}}}})", "keyword if"},
        {R"({"type":"string"})", "must be an object"},
        {R"({"type":"object","properties":{"a":{"type":"colour"}}})", "type colour"},
        {R"({"type":"object","properties":{"a":{"pattern":"a^b"}}})", "pattern"},
        {R"({"type":"object","properties":{"a":{"type":"string","format":"hostname"}}})", "format"},
        {R"({"type":"object","properties":{"a":{"$ref":"#/$defs/none"}}})", "$ref"},
        {R"({"type":"object","properties":{"a":{"$ref":"http://a/b"}}})", "$ref"},
        {R"({"type":"object","properties":{"a":{"enum":[]}}})", "enum"},
        {R"({"type":"object","properties":{},"required":["a"]})", "required"},
    };
    for (const auto& [parameters, word] : cases) {
        EXPECT_NE(fault_of(parameters).find(word), std::string::npos) << parameters;
        EXPECT_EQ(fault_of(parameters, false), "") << parameters;
    }
    std::string deep = R"({"type":"integer"})";
    for (int i = 0; i < 90; ++i) deep = R"({"type":"array","items":)" + deep + "}";
    EXPECT_NE(fault_of(R"({"properties":{"a":)" + deep + "}}").find("deeply"), std::string::npos);
    std::string fault;
    EXPECT_FALSE(call_grammar(functions_of("{}", false), "g", fault).has_value());
}

#ifdef GEMLET_LLGUIDANCE

class Calls {
  public:
    Calls() : service_(open_service(1)) {
        vocabulary_ = *GrammarVocabulary::create(service_->model.tokenizer.vocabulary(),
                                                 service_->model.engine->config().vocab_size);
    }

    /// Whether a call may be written. '`' stands for the quote token.
    bool may(const std::string& parameters, const std::string& call, bool strict = true,
             const std::string& only = "") {
        std::string fault;
        const Result<std::string> rules =
            call_grammar(functions_of(parameters, strict), only, fault);
        EXPECT_TRUE(rules.has_value()) << fault;
        if (!rules) return false;
        const auto grammar = Grammar::of_rules(vocabulary_, *rules, fault);
        EXPECT_TRUE(grammar.has_value()) << fault << "\n" << *rules;
        if (!grammar) return false;
        const bool passes = walk(**grammar, call);
        // A copy begins anew, and so does one that is restarted.
        EXPECT_EQ(walk(**(*grammar)->copy(), call), passes);
        return passes;
    }

  private:
    bool walk(Grammar& grammar, const std::string& call) {
        std::string text;
        for (const char c : call) text += c == '`' ? std::string("<|\"|>") : std::string(1, c);
        std::vector<uint32_t> bits;
        for (const int32_t id : service_->model.tokenizer.encode(text + "<tool_call|>", true)) {
            if (!grammar.allowed(bits)) return false;
            const auto bit = static_cast<size_t>(id);
            if ((bits[bit / 32] >> (bit % 32) & 1U) == 0) return false;
            grammar.take(id);
        }
        return true;
    }

    std::unique_ptr<Service> service_;
    std::shared_ptr<GrammarVocabulary> vocabulary_;
};

TEST(CallGrammar, lets_members_come_in_any_order_each_once_and_the_required_all) {
    Calls calls;
    const std::string three =
        R"({"type":"object","properties":{"a":{"type":"integer"},"b c":{"type":"string"},)"
        R"("d":{"type":"boolean"}},"required":["a","d"]})";
    for (const char* good : {"call:f{a:1,`b c`:`x, {y}`,d:true}", "call:f{d:false,a:-12}",
                             "call:f{`b c`:``,d:true,a:0}", "call:get.it{}"}) {
        EXPECT_TRUE(calls.may(three, good)) << good;
    }
    for (const char* bad : {"call:f{a:1}", "call:f{a:1,a:2,d:true}", "call:f{a:1,d:true,e:2}",
                            "call:f{a:1.5,d:true}", "call:f{a:`1`,d:true}", "call:f{a:01,d:true}",
                            "call:f{a:1,d:true,}", "call:f{a: 1,d:true}", "call:f{}", "call:g{}",
                            "call:f{a:1,d:true", "f{a:1,d:true}", "call:f{a:1,d:true}}"}) {
        EXPECT_FALSE(calls.may(three, bad)) << bad;
    }
    EXPECT_FALSE(calls.may(three, "call:get.it{}", true, "f"));
    // Where a schema does not say what there is, all is free.
    EXPECT_TRUE(calls.may(R"({"type":"object"})", "call:f{x:[1,{`y z`:null}],z:{}}", false));
    EXPECT_FALSE(calls.may(R"({"type":"object"})", "call:f{x:1}"));
    EXPECT_TRUE(calls.may(R"({"properties":{"a":{}},"additionalProperties":{"type":"integer"}})",
                          "call:f{zz:3,a:`x`,`b b`:4}"));
    EXPECT_FALSE(calls.may(
        R"({"properties":{"a":{"type":"boolean"}},"additionalProperties":{"type":"integer"}})",
        "call:f{a:3}"));
}

TEST(CallGrammar, keeps_the_limits_of_values) {
    Calls calls;
    struct Case {
        const char* schema;
        std::vector<const char*> good;
        std::vector<const char*> bad;
    };
    const Case cases[] = {
        {R"({"type":"integer","minimum":3,"maximum":17})",
         {"3", "17", "9"},
         {"2", "18", "30", "-3"}},
        {R"({"type":"number","exclusiveMinimum":0})", {"0.5", "7"}, {"0", "-1"}},
        {R"({"enum":["red","green blue",5,null,[1,"x"]]})",
         {"`red`", "`green blue`", "5", "null", "[1,`x`]"},
         {"`re`", "red", "`green`", "6"}},
        {R"({"const":"only"})", {"`only`"}, {"`on`"}},
        {R"({"type":["string","null"],"maxLength":3})", {"``", "`abc`", "null"}, {"`abcd`", "1"}},
        {R"({"type":"string","minLength":2})", {"`ab`", "`äö`"}, {"``", "`a`"}},
        {R"({"type":"string","pattern":"^[a-c]+/$"})", {"`abc/`"}, {"`abd/`", "`ab`", "`/`"}},
        {R"({"type":"string","pattern":"b|dd"})", {"`abc`", "`edd`"}, {"`ac`"}},
        {R"({"type":"string","format":"date"})", {"`2026-11-22`"}, {"`2026-13-22`", "`today`"}},
        {R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})",
         {"[1]", "[1,2,3]"},
         {"[]", "[1,2,3,4]", "[`a`]"}},
        {R"({"type":"array","prefixItems":[{"type":"boolean"},{"type":"null"}],"items":false})",
         {"[true,null]"},
         {"[true]", "[true,null,1]"}},
        {R"({"type":"array"})", {"[]", "[1,`a`,[true]]"}, {"[1,]", "{}"}},
        {R"({"anyOf":[{"type":"integer"},{"type":"string","nullable":true}]})",
         {"1", "`a`", "null"},
         {"true"}},
        {R"({"allOf":[{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]},
             {"properties":{"y":{"type":"boolean"}}}]})",
         {"{x:1}", "{y:true,x:1}"},
         {"{y:true}", "{x:1,z:2}"}},
        {R"({"$ref":"#/$defs/node"})", {"{v:1}", "{next:{v:2,next:{v:3}},v:1}"}, {"{next:{}}"}},
        {R"({})", {"1", "`a`", "{a:[]}"}, {"a"}},
    };
    for (const Case& c : cases) {
        const std::string parameters =
            R"({"type":"object","properties":{"p":)" + std::string(c.schema) +
            R"(},"required":["p"],"$defs":{"node":{"type":"object","properties":{)"
            R"("v":{"type":"integer"},"next":{"$ref":"#/$defs/node"}},"required":["v"]}}})";
        for (const char* value : c.good) {
            EXPECT_TRUE(calls.may(parameters, "call:f{p:" + std::string(value) + "}"))
                << c.schema << " " << value;
        }
        for (const char* value : c.bad) {
            EXPECT_FALSE(calls.may(parameters, "call:f{p:" + std::string(value) + "}"))
                << c.schema << " " << value;
        }
    }
}

#endif  // GEMLET_LLGUIDANCE

}  // namespace
}  // namespace gemlet::server::test
