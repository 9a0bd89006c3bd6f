// Sends large bodies that are refused before their end, as Harbor's kind of client does, and counts who read the reason.
//
//	refusals URL AUTHORIZATION REFUSALS WORKERS BYTES SENTENCE
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

type zeros struct{}

func (zeros) Read(block []byte) (int, error) {
	for i := range block {
		block[i] = 0
	}
	return len(block), nil
}

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	url, authorization, sentence := os.Args[1], os.Args[2], os.Args[6]
	refusals, workers, size := number(os.Args[3]), number(os.Args[4]), number(os.Args[5])
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	var left, read atomic.Int64
	left.Store(refusals)
	var all sync.WaitGroup
	for i := int64(0); i < workers; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for left.Add(-1) >= 0 {
				request, _ := http.NewRequest("PUT", url, io.LimitReader(zeros{}, size))
				request.ContentLength = size
				request.Header.Set("Authorization", authorization)
				answer, err := client.Do(request)
				if err != nil {
					fmt.Println(err)
					continue
				}
				body, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err == nil && strings.Contains(string(body), sentence) {
					read.Add(1)
				} else {
					fmt.Println(answer.StatusCode, string(body), err)
				}
			}
		}()
	}
	all.Wait()
	fmt.Println(read.Load(), "of", refusals)
}
