// The smallest program: opens a model, asks it one thing and prints the answer as it comes.
// Usage: hello MODEL [PROMPT]. Always the likeliest token, so that every run prints the same.
#include <gemlet.h>
#include <stdio.h>
#include <string.h>

static int print(void* user, gemlet_delta_kind kind, const char* text, size_t text_bytes) {
    (void)user;
    if (kind != GEMLET_DELTA_CONTENT) return 0;  // neither thoughts nor calls of tools
    return fwrite(text, 1, text_bytes, stdout) != text_bytes || fflush(stdout) != 0;
}

static gemlet_status ask(gemlet_session* session, const char* prompt) {
    gemlet_sampling sampling = {.size = sizeof(sampling)};
    gemlet_status status = gemlet_session_get_sampling(session, &sampling);
    if (status != GEMLET_OK) return status;
    sampling.temperature = 0;
    status = gemlet_session_set_sampling(session, &sampling);
    if (status != GEMLET_OK) return status;
    const gemlet_chat_options options = {.size = sizeof(options), .on_delta = print};
    return gemlet_session_ask(session, prompt, strlen(prompt), &options, NULL);
}

int main(int argc, char** argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s MODEL [PROMPT]\n", argv[0]);
        return 2;
    }
    const char* prompt = argc > 2 ? argv[2] : "Reverse the words: key ball boat gold seven";
    const gemlet_model_options options = {.size = sizeof(options), .context = 2048};
    gemlet_model* model = NULL;
    gemlet_session* session = NULL;
    gemlet_status status = gemlet_model_open(argv[1], strlen(argv[1]), &options, &model);
    if (status != GEMLET_OK) {
        fprintf(stderr, "%s\n", gemlet_model_error(model));
    } else if ((status = gemlet_session_create(model, &session)) != GEMLET_OK ||
               (status = ask(session, prompt)) != GEMLET_OK) {
        fprintf(stderr, "%s\n", gemlet_session_error(session));
    } else {
        printf("\n");
    }
    gemlet_session_free(session);
    gemlet_model_close(model);
    return status == GEMLET_OK ? 0 : 1;
}
