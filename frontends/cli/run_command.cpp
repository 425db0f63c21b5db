// gemlet run: one prompt, one answer.
#include <string>

#include "frontends/cli/answer_printer.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/conversation.h"
#include "frontends/cli/interrupt.h"
#include "frontends/cli/open_model.h"
#include "frontends/cli/streams.h"
#include "frontends/text/response_json.h"

namespace gemlet {
namespace {

Failure read_prompt(const Options& options, std::string& prompt) {
    if (options.has_prompt && options.prompt != "-") {
        prompt = options.prompt;
    } else if (options.has_prompt || !input_is_terminal()) {
        const Result<std::string> text = read_input();
        if (!text) return text.error();
        prompt = *text;
    }
    if (!prompt.empty() || !options.media.empty()) return {};
    Failure failure(Status(StatusCode::bad_argument,
                           "no prompt: give -p TEXT, or pipe one in (gemlet run --help)"));
    failure.exit_code = 2;
    return failure;
}

Json messages_of(const Options& options, const std::string& prompt) {
    Json messages = Json::array();
    const auto add = [&](const char* role, const std::string& text) {
        Json message = Json::object();
        message.set("role", Json::of(role)).set("content", Json::of(text));
        messages.items.push_back(std::move(message));
    };
    if (!options.system.empty()) add("system", options.system);
    add("user", prompt);
    if (options.media.empty()) return messages;
    Json parts = Json::array();
    for (const MediaSource& source : media_sources(options)) {
        parts.items.push_back(media_part(source));
    }
    Json text = Json::object();
    text.set("type", Json::of("text")).set("text", Json::of(prompt));
    parts.items.push_back(std::move(text));
    messages.items.back().set("content", std::move(parts));
    return messages;
}

Json milliseconds(int64_t ns) {
    constexpr int64_t kNsPerUs = 1000;
    constexpr double kUsPerMs = 1000;
    const int64_t us = ns / kNsPerUs;  // more digits would say nothing
    return Json::of_number(static_cast<double>(us) / kUsPerMs);
}

Json rate(double per_second) {
    constexpr double kHundredths = 100;
    return Json::of_number(static_cast<double>(static_cast<int64_t>(per_second * kHundredths)) /
                           kHundredths);
}

Json unsigned_number(uint64_t value) {
    Json number;
    number.kind = Json::Kind::number;
    number.is_integer = true;
    number.number = static_cast<double>(value);
    number.text = std::to_string(value);
    return number;
}

std::string answer_json(const Answer& answer, uint64_t seed) {
    Json result = response_json(answer.response);
    if (answer.end == AnswerEnd::cancelled) result.set("finish_reason", Json::of("cancelled"));
    Json usage = Json::object();
    usage.set("prompt_tokens", unsigned_number(answer.n_prompt))
        .set("completion_tokens", unsigned_number(answer.n_completion));
    Json timings = Json::object();
    timings.set("prompt_ms", milliseconds(answer.prefill_ns))
        .set("prompt_tokens_per_s", rate(answer.prefill_tokens_per_s()))
        .set("decode_ms", milliseconds(answer.decode_ns))
        .set("decode_tokens_per_s", rate(answer.decode_tokens_per_s()));
    result.set("usage", std::move(usage))
        .set("timings", std::move(timings))
        .set("seed", unsigned_number(seed));
    return write_json(result);
}

Result<Answer> generate(const Options& options, const std::string& prompt,
                        Conversation& conversation, Output& out) {
    AnswerPrinter printer(out, options.show_thoughts ? Thoughts::to_output : Thoughts::to_errors);
    const auto show = [&](const chat::ResponseDelta& delta) {
        if (options.json) return;
        if (options.raw) {
            out.write(delta.content);
            out.flush();
        } else {
            printer.take(delta);
        }
        if (out.closed()) Conversation::stop();
    };
    Result<Answer> answer =
        options.raw ? conversation.continue_text(prompt, show)
                    : conversation.answer(messages_of(options, prompt), options.think, show);
    if (options.json) {
        if (answer) out.write_line(answer_json(*answer, conversation.seed()));
    } else if (options.raw) {
        out.end_for_terminal();
    } else {
        printer.finish();
    }
    return answer;
}

}  // namespace

Failure run_command(const Options& options) {
    std::string prompt;
    Failure failure = read_prompt(options, prompt);
    if (!failure.ok()) return failure;
    const std::unique_ptr<Conversation> conversation = Conversation::open(options, failure);
    if (conversation == nullptr) return failure;
    Output out;
    const Result<Answer> answer = generate(options, prompt, *conversation, out);
    if (!answer) return {answer.error(), conversation->fault_file()};
    if (const Status status = out.finish(); !status.ok()) return status;
    if (answer->end == AnswerEnd::cancelled && !out.closed()) {
        failure = Failure(Status(StatusCode::cancelled, "stopped"));
        failure.exit_code = kInterruptedExit;
    }
    return failure;
}

}  // namespace gemlet
