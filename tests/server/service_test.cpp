// The endpoints over the small model, without sockets: answers streamed and not, several at once,
// what is reused, and what happens to those who leave.
#include <cmath>
#include <future>
#include <thread>

#include "frontends/text/answer_stream.h"
#include "tests/server/server_model.h"

namespace gemlet::server::test {
namespace {

constexpr const char* kChat = "/v1/chat/completions";

std::string chat_body(const std::string& text, const std::string& more = "") {
    Json message = Json::object();
    message.set("role", Json::of("user")).set("content", Json::of(text));
    return R"({"temperature":0,"messages":[)" + write_json(message) + "]" + more + "}";
}

std::string content_of(const Reply& reply) {
    EXPECT_EQ(reply.status, 200) << reply.body;
    return at(reply.json(), {"choices", "0", "message", "content"}).text;
}

const std::string kQuestions[] = {"Reverse the words: key ball boat gold seven",
                                  "Reverse the words: red tree house",
                                  "Sort the words: pear apple fig",
                                  "What is the opposite of hot?",
                                  "Reverse the words: one two three four five six",
                                  "Count to five"};

TEST(Service, answers_streamed_as_it_answers_at_once) {
    const auto service = open_service(1);
    for (const std::string& question : kQuestions) {
        const Reply whole = post(*service, kChat, chat_body(question, R"(,"max_tokens":40)"));
        const Reply stream =
            post(*service, kChat, chat_body(question, R"(,"max_tokens":40,"stream":true)"));
        const Streamed gathered = gather(stream.body);
        EXPECT_EQ(gathered.content, content_of(whole));
        EXPECT_EQ(gathered.finish_reason, at(whole.json(), {"choices", "0", "finish_reason"}).text);
        EXPECT_TRUE(stream.body.ends_with("data: [DONE]\n\n"));
    }
}

TEST(Service, gives_all_at_once_what_each_alone_would_get) {
    const auto alone = open_service(1);
    const auto together = open_service(3);
    std::vector<std::future<Reply>> replies;
    for (const std::string& question : kQuestions) {
        replies.push_back(std::async(std::launch::async, [&, question] {
            return post(*together, kChat, chat_body(question, R"(,"max_tokens":40)"));
        }));
    }
    for (size_t i = 0; i < replies.size(); ++i) {
        EXPECT_EQ(content_of(replies[i].get()),
                  content_of(post(*alone, kChat, chat_body(kQuestions[i], R"(,"max_tokens":40)"))));
    }
}

/// A second turn after a first answer.
std::string second_turn(const std::string& system, const Reply& first) {
    Json messages = Json::array();
    const auto add = [&](const char* role, const std::string& text) {
        Json message = Json::object();
        message.set("role", Json::of(role)).set("content", Json::of(text));
        messages.items.push_back(std::move(message));
    };
    add("system", system);
    add("user", kQuestions[0]);
    if (first.status == 200) {
        add("assistant", content_of(first));
        add("user", kQuestions[1]);
    }
    return R"({"temperature":0,"max_tokens":30,"messages":)" + write_json(messages) + "}";
}

TEST(Service, computes_only_what_is_new_and_says_so) {
    const auto service = open_service(2);
    std::string system;
    for (int i = 0; i < 60; ++i) system += "Rule " + std::to_string(i) + " is kept. ";
    const Reply first = post(*service, kChat, second_turn(system, {}));
    const size_t n_first = static_cast<size_t>(at(first.json(), {"usage", "prompt_tokens"}).number);
    ASSERT_GT(n_first, 400U);
    const std::string body = second_turn(system, first);
    const Reply second = post(*service, kChat, body);
    const Json json = second.json();
    // All of the first turn but, at most, the answer, whose last token never entered the model.
    EXPECT_GE(at(json, {"usage", "prompt_tokens_details", "cached_tokens"}).number, n_first);
    EXPECT_LT(at(json, {"timings", "prompt_n"}).number, 60);
    const auto fresh = open_service(1);
    EXPECT_EQ(content_of(second), content_of(post(*fresh, kChat, body)));
    // Another conversation with the same rules gets a copy of them.
    const Reply other = post(*service, kChat, chat_body("Hi"));
    EXPECT_EQ(other.status, 200);
    const std::string branch = second_turn(system, {});
    const Reply third = post(*service, kChat, branch);
    EXPECT_GT(at(third.json(), {"timings", "cache_n"}).number, 400);
    EXPECT_EQ(content_of(third), content_of(first));
}

TEST(Service, starts_again_where_sliding_windows_do_not_reach_back) {
    const auto service = open_service(1);
    const auto fresh = open_service(1);
    std::string rules;
    for (int i = 0; i < 60; ++i) rules += "Rule " + std::to_string(i) + " is kept. ";
    // The same beginning, then ever longer ones: forks far back, and near the end.
    for (const size_t length : {500U, 150U, 520U, 20U}) {
        const std::string body =
            chat_body(rules.substr(0, length) + " " + kQuestions[0], R"(,"max_tokens":20)");
        const std::string cold = chat_body(rules.substr(0, length) + " " + kQuestions[0],
                                           R"(,"max_tokens":20,"cache_prompt":false)");
        EXPECT_EQ(content_of(post(*service, kChat, body)), content_of(post(*fresh, kChat, cold)));
    }
}

/// The entries of every chunk's choice, or of an answer's.
std::vector<Json> logprobs_of(const std::vector<Json>& parts) {
    std::vector<Json> entries;
    for (const Json& part : parts) {
        const Json& content = at(part, {"choices", "0", "logprobs", "content"});
        entries.insert(entries.end(), content.items.begin(), content.items.end());
    }
    return entries;
}

std::string bytes_of(const Json& entry) {
    std::string bytes;
    for (const Json& byte : at(entry, {"bytes"}).items) bytes += static_cast<char>(byte.number);
    return bytes;
}

TEST(Service, reports_how_likely_each_token_of_the_text_was) {
    const auto service = open_service(1);
    const std::string more = R"(,"max_tokens":40,"logprobs":true,"top_logprobs":3)";
    const Reply whole = post(*service, kChat, chat_body(kQuestions[0], more));
    const std::vector<Json> entries = logprobs_of({whole.json()});
    ASSERT_GT(entries.size(), 4U);
    std::string text;
    for (const Json& entry : entries) {
        text += bytes_of(entry);
        const Json& top = at(entry, {"top_logprobs"});
        ASSERT_EQ(top.items.size(), 3U);
        // Greedy: what was drawn is the likeliest.
        EXPECT_EQ(at(top, {"0", "token"}).text, at(entry, {"token"}).text);
        EXPECT_EQ(at(top, {"0", "logprob"}).number, at(entry, {"logprob"}).number);
        double share = 0;
        for (const Json& one : top.items) share += std::exp(at(one, {"logprob"}).number);
        EXPECT_LE(share, 1 + 1e-9);
        EXPECT_GT(share, 0.5);
        EXPECT_GE(at(top, {"1", "logprob"}).number, at(top, {"2", "logprob"}).number);
    }
    EXPECT_EQ(text, content_of(whole));
    const Reply stream =
        post(*service, kChat, chat_body(kQuestions[0], more + R"(,"stream":true)"));
    const std::vector<Json> streamed = logprobs_of(events_of(stream.body));
    ASSERT_EQ(streamed.size(), entries.size());
    for (size_t i = 0; i < entries.size(); ++i) {
        EXPECT_EQ(write_json(streamed[i]), write_json(entries[i]));
    }
    // The numbers are the model's own, whatever was made of them to draw.
    const Reply biased = post(
        *service, kChat,
        chat_body(kQuestions[0], R"(,"max_tokens":1,"logprobs":true,"logit_bias":{"500":100})"));
    EXPECT_LT(at(logprobs_of({biased.json()})[0], {"logprob"}).number, -1);
    EXPECT_TRUE(at(logprobs_of({biased.json()})[0], {"top_logprobs"}).items.empty());
    // A stop inside a token keeps the token; those behind it are left out.
    const std::vector<Json> stopped = logprobs_of(
        {post(*service, kChat, chat_body(kQuestions[0], more + R"(,"stop":"t ba")")).json()});
    std::string kept;
    for (const Json& entry : stopped) kept += bytes_of(entry);
    EXPECT_EQ(kept, "seven gold boat");
}

TEST(Service, reports_likelihoods_of_plain_completions_in_their_own_form) {
    const auto service = open_service(1);
    const std::string body = R"({"prompt":"Hi","max_tokens":6,"temperature":0,"logprobs":2)";
    const Json whole = post(*service, "/v1/completions", body + "}").json();
    const Json& logprobs = at(whole, {"choices", "0", "logprobs"});
    ASSERT_EQ(at(logprobs, {"tokens"}).items.size(), 6U);
    EXPECT_EQ(at(logprobs, {"token_logprobs"}).items.size(), 6U);
    EXPECT_EQ(at(logprobs, {"top_logprobs"}).items.size(), 6U);
    EXPECT_EQ(at(logprobs, {"text_offset", "0"}).number, 0);
    EXPECT_GT(at(logprobs, {"text_offset", "1"}).number, 0);
    std::vector<std::string> offsets;
    for (const Json& event :
         events_of(post(*service, "/v1/completions", body + R"(,"stream":true})").body)) {
        for (const Json& offset : at(event, {"choices", "0", "logprobs", "text_offset"}).items) {
            offsets.push_back(offset.text);
        }
    }
    ASSERT_EQ(offsets.size(), 6U);
    EXPECT_EQ(offsets[5], at(logprobs, {"text_offset", "5"}).text);
    EXPECT_EQ(post(*service, "/v1/completions", R"({"prompt":"x","logprobs":21})").status, 400);
}

TEST(Service, gives_several_answers_to_one_prompt_that_it_reads_once) {
    const auto service = open_service(3);
    std::string text;
    for (int i = 0; i < 60; ++i) text += "Rule " + std::to_string(i) + " is kept. ";
    text += kQuestions[0];
    const Reply one = post(*service, kChat, chat_body(text, R"(,"max_tokens":20)"));
    const auto computed = [&] {
        const std::string metrics = call(*service, "GET", "/metrics", "").body;
        const std::string name = "\ngemma_prompt_tokens_total ";
        return std::stod(metrics.substr(metrics.find(name) + name.size()));
    };
    const double before = computed();
    const Json three =
        post(*service, kChat, chat_body("Now. " + text, R"(,"max_tokens":20,"n":3)")).json();
    ASSERT_EQ(at(three, {"choices"}).items.size(), 3U);
    const double n_prompt = at(three, {"usage", "prompt_tokens"}).number;
    EXPECT_LE(computed() - before, n_prompt + 2);
    for (const char* index : {"0", "1", "2"}) {
        EXPECT_EQ(at(three, {"choices", index, "index"}).text, index);
        EXPECT_EQ(at(three, {"choices", index, "message", "content"}).text,
                  at(three, {"choices", "0", "message", "content"}).text);
    }
    const auto n_drawn = static_cast<int>(at(three, {"usage", "completion_tokens"}).number);
    EXPECT_GE(n_drawn, 3);
    EXPECT_EQ(n_drawn % 3, 0);
    // Each draws by a seed of its own, and streams under its own index what it says.
    const std::string warm =
        R"(,"max_tokens":12,"n":3,"seed":5,"temperature":2,"top_k":0,"top_p":1,)"
        R"("logit_bias":{"1":-100,"106":-100,"50":-100})";
    const Json whole = post(*service, kChat, chat_body("Hi", warm)).json();
    std::vector<std::string> streamed(3);
    for (const Json& event :
         events_of(post(*service, kChat, chat_body("Hi", warm + R"(,"stream":true)")).body)) {
        const auto index = static_cast<size_t>(at(event, {"choices", "0", "index"}).number);
        streamed.at(index) += at(event, {"choices", "0", "delta", "content"}).text;
    }
    for (const char* index : {"0", "1", "2"}) {
        EXPECT_EQ(streamed.at(std::stoul(index)),
                  at(whole, {"choices", index, "message", "content"}).text);
    }
    EXPECT_NE(streamed[0], streamed[1]);
    EXPECT_NE(streamed[1], streamed[2]);
    const Json texts =
        post(*service, "/v1/completions", R"({"prompt":["a","b"],"n":2,"max_tokens":2})").json();
    EXPECT_EQ(at(texts, {"choices"}).items.size(), 4U);
    const Reply refused = post(*service, kChat, chat_body("Hi", R"(,"n":4)"));
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(at(refused.json(), {"error", "param"}).text, "n");
    EXPECT_EQ(one.status, 200);
}

TEST(Service, frees_the_slot_of_a_client_that_is_gone) {
    const auto service = open_service(1);
    const std::string endless = chat_body(
        "Tell me a story", R"(,"stream":true,"logit_bias":{"1":-100,"106":-100,"50":-100})");
    const Reply cut = call(*service, "POST", kChat, endless, 300);
    EXPECT_FALSE(cut.complete);
    const auto start = std::chrono::steady_clock::now();
    while (!service->scheduler->idle()) std::this_thread::yield();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(250));
    EXPECT_FALSE(content_of(post(*service, kChat, chat_body(kQuestions[0]))).empty());
}

TEST(Service, refuses_what_does_not_fit_and_what_cannot_wait) {
    const auto service = open_service(1, 256, 0);
    std::string text;
    for (int i = 0; i < 300; ++i) text += "word ";
    const Reply large = post(*service, kChat, chat_body(text));
    EXPECT_EQ(large.status, 400);
    EXPECT_EQ(at(large.json(), {"error", "type"}).text, "exceed_context_size_error");
    EXPECT_GT(at(large.json(), {"error", "n_prompt_tokens"}).number, 256);
    // Jobs that nobody takes off the queue.
    std::vector<std::shared_ptr<AnswerJob>> held;
    service->submit = [&](std::shared_ptr<AnswerJob> job) {
        if (!held.empty()) return false;
        held.push_back(std::move(job));
        return true;
    };
    HttpRequest request;
    request.method = "POST";
    request.path = kChat;
    request.body = chat_body("x", R"(,"stream":true)");  // not waited for before it is written
    const HttpResponse first = answer_request(*service, request);
    const HttpResponse second = answer_request(*service, request);
    EXPECT_EQ(second.status, 429);
    EXPECT_EQ(second.headers.at(0).first, "Retry-After");
}

TEST(Service, stops_at_stops_and_at_limits) {
    const auto service = open_service(1);
    const std::string answer = content_of(post(*service, kChat, chat_body(kQuestions[0])));
    ASSERT_EQ(answer, "seven gold boat ball key");
    const Reply stopped = post(*service, kChat, chat_body(kQuestions[0], R"(,"stop":["t ba"])"));
    EXPECT_EQ(content_of(stopped), "seven gold boa");
    EXPECT_EQ(at(stopped.json(), {"choices", "0", "finish_reason"}).text, "stop");
    const Reply cut = post(*service, kChat, chat_body(kQuestions[0], R"(,"max_tokens":3)"));
    EXPECT_EQ(content_of(cut), "seven gold");
    EXPECT_EQ(at(cut.json(), {"choices", "0", "finish_reason"}).text, "length");
    EXPECT_EQ(at(cut.json(), {"usage", "completion_tokens"}).number, 3);
}

TEST(Service, calls_a_function_when_it_must_and_none_when_it_must_not) {
    const auto service = open_service(1);
    const std::string tools =
        R"(,"max_tokens":60,"tools":[{"type":"function","function":{"name":"get_weather",)"
        R"("description":"Weather of a city","parameters":{"type":"object","properties":)"
        R"({"city":{"type":"string"}},"required":["city"]}}},)"
        R"({"type":"function","function":{"name":"add","parameters":{"type":"object"}}}])";
    const std::string question = "What is the weather in Paris?";
    for (const char* choice :
         {R"("required")", R"({"type":"function","function":{"name":"add"}})"}) {
        const std::string more = tools + R"(,"parallel_tool_calls":false,"tool_choice":)" + choice;
        const Reply reply = post(*service, kChat, chat_body(question, more));
        const Json json = reply.json();
        EXPECT_EQ(at(json, {"choices", "0", "finish_reason"}).text, "tool_calls") << reply.body;
        const Json& calls = at(json, {"choices", "0", "message", "tool_calls"});
        ASSERT_EQ(calls.items.size(), 1U);
        EXPECT_TRUE(at(json, {"choices", "0", "message", "content"}).is_null());
        if (choice[0] == '{') {
            EXPECT_EQ(at(calls, {"0", "function", "name"}).text, "add");
        }
        const Streamed stream =
            gather(post(*service, kChat, chat_body(question, more + R"(,"stream":true)")).body);
        ASSERT_EQ(stream.calls.size(), 1U);
        EXPECT_EQ(stream.calls[0].first, at(calls, {"0", "function", "name"}).text);
        EXPECT_EQ(stream.calls[0].second, at(calls, {"0", "function", "arguments"}).text);
    }
    const Reply none =
        post(*service, kChat, chat_body(question, tools + R"(,"tool_choice":"none")"));
    EXPECT_TRUE(at(none.json(), {"choices", "0", "message", "tool_calls"}).is_null());
}

TEST(Service, gives_strict_functions_arguments_of_their_schema_and_no_others) {
    const auto service = open_service(1);
    const auto tool = [](const std::string& parameters) {
        return R"(,"max_tokens":200,"parallel_tool_calls":false,"tool_choice":"required","tools":[)"
               R"({"type":"function","function":{"name":"paint","strict":true,"parameters":)" +
               parameters + "}}]";
    };
    const std::string paint = tool(
        R"({"type":"object","properties":{"colour":{"enum":["red","green"]},"n":{"type":"integer",)"
        R"("minimum":3,"maximum":5},"ok":{"type":"boolean"}},"required":["colour","n"],)"
        R"("additionalProperties":false})");
#ifndef GEMLET_LLGUIDANCE
    EXPECT_EQ(post(*service, kChat, chat_body("Hi", paint)).status, 501);
    GTEST_SKIP() << "built without llguidance";
#endif
    for (const char* seed : {R"("temperature":0)", R"("temperature":2,"top_k":0,"seed":1)",
                             R"("temperature":2,"top_k":0,"seed":2)"}) {
        const Json json = post(*service, kChat, chat_body("Paint it", paint + "," + seed)).json();
        const Json& call = at(json, {"choices", "0", "message", "tool_calls", "0", "function"});
        EXPECT_EQ(at(call, {"name"}).text, "paint");
        const Result<Json> arguments = parse_json(at(call, {"arguments"}).text);
        ASSERT_TRUE(arguments.has_value()) << write_json(json);
        EXPECT_TRUE(at(*arguments, {"colour"}).text == "red" ||
                    at(*arguments, {"colour"}).text == "green");
        EXPECT_GE(at(*arguments, {"n"}).number, 3);
        EXPECT_LE(at(*arguments, {"n"}).number, 5);
        EXPECT_LE(arguments->members.size(), at(*arguments, {"ok"}).is_null() ? 2U : 3U);
    }
    const Reply refused =
        post(*service, kChat, chat_body("Hi", tool(R"({"properties":{"a":{"if":{}}}})")));
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(at(refused.json(), {"error", "param"}).text, "tools");
}

TEST(Service, answers_in_json_of_a_schema_and_nothing_else) {
    const auto service = open_service(1);
    const auto ask = [&](const std::string& format, const std::string& more = "") {
        return post(
            *service, kChat,
            chat_body(kQuestions[0], R"(,"max_tokens":200,"response_format":)" + format + more));
    };
    const std::string schema =
        R"({"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object",)"
        R"("properties":{"colour":{"enum":["red","green"]},"n":{"type":"integer","minimum":3,)"
        R"("maximum":5},"ok":{"type":"boolean"}},"required":["colour","n","ok"],)"
        R"("additionalProperties":false}}})";
    const Reply reply = ask(schema);
#ifndef GEMLET_LLGUIDANCE
    EXPECT_EQ(reply.status, 501);
    GTEST_SKIP() << "built without llguidance";
#endif
    for (const char* more : {"", R"(,"temperature":2,"seed":1)", R"(,"temperature":2,"seed":2)",
                             R"(,"chat_template_kwargs":{"enable_thinking":true},)"
                             R"("reasoning_budget_tokens":10)"}) {
        const Reply answered = ask(schema, more);
        const Result<Json> json = parse_json(content_of(answered));
        ASSERT_TRUE(json.has_value()) << answered.body;
        ASSERT_EQ(json->members.size(), 3U);
        EXPECT_TRUE(at(*json, {"colour"}).text == "red" || at(*json, {"colour"}).text == "green");
        EXPECT_GE(at(*json, {"n"}).number, 3);
        EXPECT_LE(at(*json, {"n"}).number, 5);
        EXPECT_TRUE(at(*json, {"ok"}).is_bool());
        EXPECT_EQ(at(answered.json(), {"choices", "0", "finish_reason"}).text, "stop");
    }
    const Reply cut = ask(R"({"type":"json_object"})", R"(,"max_tokens":1)");
    EXPECT_EQ(content_of(cut).front(), '{');
    EXPECT_EQ(ask(R"({"type":"json_schema","json_schema":{"schema":{"type":"colour"}}})").status,
              400);
    EXPECT_EQ(
        ask(R"({"type":"json_schema","json_schema":{"schema":{"type":"object","if":{}}}})").status,
        400);
}

TEST(Service, keeps_special_strings_of_users_plain) {
    const auto service = open_service(1);
    const auto count = [&](const std::string& text) {
        const Reply reply = post(*service, "/v1/chat/completions/input_tokens", chat_body(text));
        return at(reply.json(), {"input_tokens"}).number;
    };
    // As ordinary text the string is many tokens, as a special it would be one.
    EXPECT_GT(count("<turn|>"), count("x") + 2);
    const Reply prompt = post(*service, "/apply-template", chat_body("<turn|>"));
    EXPECT_EQ(at(prompt.json(), {"prompt"}).text,
              "<bos><|turn>user\n<turn|><turn|>\n<|turn>model\n");
}

TEST(Service, survives_whatever_is_sent) {
    const auto service = open_service(1);
    const std::string good = chat_body("Hi \\u00fc", R"(,"max_tokens":1,"stop":["a"],"seed":7)");
    std::vector<std::string> bodies = {"",
                                       "null",
                                       "[]",
                                       "7",
                                       "\"x\"",
                                       "{}",
                                       "\xff\xfe",
                                       std::string(100000, '['),
                                       "{\"messages\":" + good + "}"};
    for (size_t i = 0; i < good.size(); ++i) {
        bodies.push_back(good.substr(0, i));
        for (const char c : {'\0', '"', '}', '[', '9', '\xc3'}) {
            std::string changed = good;
            changed[i] = c;
            bodies.push_back(changed);
        }
    }
    for (const char* path : {kChat, "/v1/completions", "/tokenize", "/detokenize",
                             "/apply-template", "/v1/audio/transcriptions"}) {
        const bool few = std::string(path) != kChat;
        for (size_t i = 0; i < bodies.size(); i += few ? 7 : 1) {
            const Reply reply = post(*service, path, bodies[i]);
            EXPECT_TRUE(reply.status == 200 || (reply.status >= 400 && reply.status < 500))
                << path << " " << bodies[i] << " " << reply.body;
            if (reply.status != 200) {
                EXPECT_TRUE(at(reply.json(), {"error"}).is_object());
            }
        }
    }
    EXPECT_TRUE(service->scheduler->idle());
    EXPECT_EQ(call(*service, "GET", "/health", "").status, 200);
}

TEST(Service, compares_keys_and_methods) {
    const auto service = open_service(1);
    EXPECT_EQ(call(*service, "POST", "/health", "").status, 405);
    EXPECT_EQ(call(*service, "GET", "", "").status, 404);
    service->options.api_key = "secret";
    EXPECT_EQ(call(*service, "GET", "/health", "").status, 200);
    const auto with_key = [&](const std::string& bearer, const std::string& key) {
        HttpRequest request;
        request.method = "GET";
        request.path = "/v1/models";
        request.authorization = bearer;
        request.api_key = key;
        return answer_request(*service, request).status;
    };
    EXPECT_EQ(with_key("", ""), 401);
    EXPECT_EQ(with_key("Bearer secre", ""), 401);
    EXPECT_EQ(with_key("Bearer secretsecret", ""), 401);
    EXPECT_EQ(with_key("Basic secret", ""), 401);
    EXPECT_EQ(with_key("Bearer secret", ""), 200);
    EXPECT_EQ(with_key("", "secret"), 200);
}

TEST(Service, is_reached_by_pages_under_names_of_this_machine_only_where_it_is_told_so) {
    const auto service = open_service(1);
    const auto status_for = [&](const std::string& host,
                                const std::string& origin = "http://a.example") {
        HttpRequest request;
        request.method = "GET";
        request.path = "/v1/models";
        request.host = host;
        request.origin = origin;
        return answer_request(*service, request).status;
    };
    EXPECT_EQ(status_for("attacker.example:8080"), 200);
    service->options.local_names_only = true;
    for (const char* host :
         {"localhost", "LocalHost:8080", "127.0.0.1:1", "127.1.2.3", "[::1]:80"}) {
        EXPECT_EQ(status_for(host), 200) << host;
    }
    EXPECT_EQ(status_for(""), 200) << "HTTP/1.0";
    for (const char* host : {"attacker.example:8080", "127.0.0.1.attacker.example",
                             "localhost.example", "10.0.0.1", "[::2]", ":80"}) {
        EXPECT_EQ(status_for(host), 403) << host;
    }
    EXPECT_EQ(status_for("attacker.example:8080", ""), 200) << "no page asks";
}

}  // namespace
}  // namespace gemlet::server::test
