/* store: every backend keeps the contract that store.h states. */
#include "contract.h"

#include <stdio.h>
#include <string.h>

/* All backends, or the one that is named. */
int main(int argc, char **argv)
{
    int failed = 0;
    size_t n_run = 0;
    for (size_t i = 0; i < n_backends; i++) {
        if (argc < 2 || strcmp(argv[1], backends[i].name) == 0) {
            failed += contract_run(&backends[i]);
            n_run++;
        }
    }
    if (n_run == 0) {
        fprintf(stderr, "there is no such backend\n");
    }
    return failed > 0 || n_run == 0;
}
