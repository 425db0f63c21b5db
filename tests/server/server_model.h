// A service over the small model, called without sockets.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "frontends/server/service.h"

namespace gemlet::server::test {

/// Keeps what is written; can go away after so many bytes.
class StringSink final : public HttpSink {
  public:
    explicit StringSink(size_t most = SIZE_MAX) : most_(most) {}
    bool write(std::string_view bytes) override {
        if (!alive()) return false;
        text += bytes;
        return true;
    }
    bool alive() override { return text.size() < most_; }

    std::string text;

  private:
    size_t most_;
};

inline std::unique_ptr<Service> open_service(size_t n_slots, size_t context = 2048,
                                             size_t queue = 16) {
    EngineOptions engine;
    engine.n_threads = 1;
    engine.context = context;
    engine.chunk = 64;
    engine.parallel = n_slots + 1;
    std::string fault_file;
    Result<ChatModel> model =
        open_chat_model(GEMLET_SOURCE_DIR "/examples/data/gemma-4-nano", engine, fault_file);
    EXPECT_TRUE(model.has_value()) << model.error().message();
    if (!model) return nullptr;
    ServiceOptions options;
    options.scheduling = {n_slots, queue};
    options.pictures.max_budget = 1120;
    Result<std::unique_ptr<Service>> service = Service::create(std::move(*model), options);
    EXPECT_TRUE(service.has_value());
    return service ? std::move(*service) : nullptr;
}

struct Reply {
    int status = 0;
    bool complete = true;
    std::string body;

    Json json() const {
        Result<Json> parsed = parse_json(body);
        EXPECT_TRUE(parsed.has_value()) << body;
        return parsed ? *parsed : Json();
    }
};

inline Reply call(Service& service, const std::string& method, const std::string& path,
                  const std::string& body, size_t most = SIZE_MAX) {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    const HttpResponse response = answer_request(service, request);
    if (!response.stream) return {response.status, true, response.body};
    StringSink sink(most);
    const bool complete = response.stream(sink);
    return {response.status, complete, sink.text};
}

inline Reply post(Service& service, const std::string& path, const std::string& body) {
    return call(service, "POST", path, body);
}

/// The JSON values of a stream's events, `[DONE]` apart.
inline std::vector<Json> events_of(const std::string& stream) {
    std::vector<Json> events;
    for (size_t at = 0; at < stream.size();) {
        const size_t end = stream.find("\n\n", at);
        const std::string line = stream.substr(at, end - at);
        at = end == std::string::npos ? stream.size() : end + 2;
        if (line.rfind("data: ", 0) != 0 || line == "data: [DONE]") continue;
        Result<Json> parsed = parse_json(line.substr(6));
        EXPECT_TRUE(parsed.has_value()) << line;
        if (parsed) events.push_back(std::move(*parsed));
    }
    return events;
}

/// An object inside an object, or null.
inline const Json& at(const Json& json, std::initializer_list<const char*> path) {
    static const Json kNull;
    const Json* value = &json;
    for (const char* name : path) {
        if (value->is_array()) {
            const auto index = static_cast<size_t>(std::stoul(name));
            value = index < value->items.size() ? &value->items[index] : nullptr;
        } else {
            value = value->find(name);
        }
        if (value == nullptr) return kNull;
    }
    return *value;
}

/// A message put together from a stream's deltas.
struct Streamed {
    std::string reasoning;
    std::string content;
    std::vector<std::pair<std::string, std::string>> calls;  // name, arguments
    std::string finish_reason;
};

inline Streamed gather(const std::string& stream) {
    Streamed out;
    for (const Json& event : events_of(stream)) {
        const Json& choice = at(event, {"choices", "0"});
        const Json& delta = at(choice, {"delta"});
        if (at(delta, {"content"}).is_string()) out.content += at(delta, {"content"}).text;
        out.reasoning += at(delta, {"reasoning_content"}).text;
        for (const Json& call : at(delta, {"tool_calls"}).items) {
            const auto index = static_cast<size_t>(at(call, {"index"}).number);
            if (index >= out.calls.size()) out.calls.resize(index + 1);
            out.calls[index].first += at(call, {"function", "name"}).text;
            out.calls[index].second += at(call, {"function", "arguments"}).text;
        }
        if (at(choice, {"finish_reason"}).is_string()) {
            out.finish_reason = at(choice, {"finish_reason"}).text;
        }
    }
    return out;
}

}  // namespace gemlet::server::test
