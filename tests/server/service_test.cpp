// The endpoints over the small model, without sockets: answers streamed and not, several at once,
// what is reused, and what happens to those who leave.
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
    request.body = chat_body("x");
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

/// Code points of UTF-8 text, each as a string.
std::vector<std::string> code_points(const std::string& text) {
    std::vector<std::string> out;
    for (const char c : text) {
        if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) out.emplace_back();
        out.back() += c;
    }
    return out;
}

/// Answers every job with a text of the model's, cut into pieces of so many code points.
void answer_with(Service& service, const Json& vector, size_t width) {
    service.submit = [&vector, width](const std::shared_ptr<AnswerJob>& job) {
        const auto start = at(vector, {"start"}).text == "reasoning" ? chat::ParseStart::reasoning
                                                                     : chat::ParseStart::content;
        chat::ResponseParser parser(start);
        job->enter(JobState::answering);
        std::string piece;
        size_t n = 0;
        for (const std::string& c : code_points(at(vector, {"raw"}).text)) {
            piece += c;
            if (++n % width != 0) continue;
            job->give(parser.feed(piece));
            piece.clear();
        }
        job->give(parser.feed(piece));
        job->give(parser.finish(at(vector, {"finish"}).text == "length" ? chat::StopCause::length
                                                                        : chat::StopCause::stop));
        job->finish({}, parser.response().finish_reason);
        return true;
    };
}

TEST(Service, brings_every_vector_of_responses_through_streamed_and_not) {
    std::FILE* file = std::fopen(GEMLET_SHARED_DATA "/data/chat/parse.jsonl", "rb");
    if (file == nullptr) GTEST_SKIP() << "no reference data";
    std::string text(1U << 20U, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    const auto service = open_service(1);
    size_t n = 0;
    for (size_t begin = 0; begin < text.size(); ++n) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        const Json vector = *parse_json(std::string_view(text).substr(begin, end - begin));
        begin = end + 1;
        for (const size_t width : {1U, 3U, 1000000U}) {
            answer_with(*service, vector, width);
            const Json whole = post(*service, kChat, chat_body("x")).json();
            const Json& message = at(whole, {"choices", "0", "message"});
            const Streamed stream =
                gather(post(*service, kChat, chat_body("x", R"(,"stream":true)")).body);
            const std::string& name = at(vector, {"name"}).text;
            EXPECT_EQ(at(message, {"content"}).text, at(vector, {"content"}).text) << name;
            EXPECT_EQ(stream.content, at(vector, {"content"}).text) << name;
            EXPECT_EQ(at(message, {"reasoning_content"}).text,
                      at(vector, {"reasoning_content"}).text);
            EXPECT_EQ(stream.reasoning, at(vector, {"reasoning_content"}).text) << name;
            EXPECT_EQ(at(whole, {"choices", "0", "finish_reason"}).text,
                      at(vector, {"finish_reason"}).text);
            EXPECT_EQ(stream.finish_reason, at(vector, {"finish_reason"}).text) << name;
            const Json& expected = at(vector, {"tool_calls"});
            const Json& calls = at(message, {"tool_calls"});
            ASSERT_EQ(calls.items.size(), expected.items.size()) << name;
            ASSERT_EQ(stream.calls.size(), expected.items.size()) << name;
            for (size_t i = 0; i < calls.items.size(); ++i) {
                const Json& function = at(calls.items[i], {"function"});
                EXPECT_EQ(at(function, {"name"}).text,
                          at(expected.items[i], {"function", "name"}).text);
                EXPECT_EQ(at(function, {"arguments"}).text, stream.calls[i].second);
                EXPECT_EQ(at(function, {"name"}).text, stream.calls[i].first);
            }
        }
    }
    EXPECT_GT(n, 100U);
}

}  // namespace
}  // namespace gemlet::server::test
