// The original's library as a linker sees it: four names. Programs that were linked with it name
// libknock.so.0, and must find ours at run time.

int knock_init(void);
void *knock_new(void);
void *knock_default_new(void);
int knock_knock(void);

int knock_init(void) {
    return -1;
}

void *knock_new(void) {
    return 0;
}

void *knock_default_new(void) {
    return 0;
}

int knock_knock(void) {
    return -1;
}
